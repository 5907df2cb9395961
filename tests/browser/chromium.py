"""
A real browser without a window: Debian's `chromium-headless-shell`, driven through a pipe by its DevTools protocol.

It is what is installed, or the distribution's packages unpacked in a folder that git ignores; root is not needed.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from bootstrap import is_same_file
from example_project.processes import Process, ServerError, dying_with_parent, private_directory
from tests.pages import ROOT

PACKAGE: Final = "chromium-headless-shell"
PROGRAMS: Final = (PACKAGE, "chromium", "chromium-browser", "google-chrome")
FOLDER: Final = ROOT / ".chromium"
FETCH_SECONDS: Final = 300
ANSWER_SECONDS: Final = 30.0
POLL_SECONDS: Final = 0.01
# A person's: the one of a browser without a window is a crawler's, whose landings do not count.
USER_AGENT: Final = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0.0.0 Safari/537.36"
)
# A Chromium with windows shows a page of its own for an error that has no content; the one without shows nothing.
EMPTY_REFUSAL: Final = "net::ERR_HTTP_RESPONSE_CODE_FAILURE"
# The browser reads commands from file 3 and writes answers to file 4; ours may have any numbers.
LAUNCHER: Final = (
    "import os, sys\n"
    "os.dup2(int(sys.argv[1]), 3)\n"
    "os.dup2(int(sys.argv[2]), 4)\n"
    "os.execv(sys.argv[3], sys.argv[3:])\n"
)


def find(folder: Path = FOLDER) -> Path:
    """
    Return the browser's program, fetched if need be; where another process is fetching it, wait for that.

    Args:
        folder: Where a fetched one is, or will be.

    Raises:
        ServerError: There is none, and this machine's package client can't fetch one; nothing is left behind.
    """
    for name in PROGRAMS:
        if found := shutil.which(name):
            return Path(found)
    program = folder / "root" / "usr" / "lib" / "chromium" / PACKAGE
    if not program.exists():
        try:
            _fetch_once(program, folder)
        except OSError as error:
            message = f"can't write {folder} ({error.strerror}): install the package {PACKAGE}, or chromium"
            raise ServerError(message) from error
    return program


def _fetch_once(program: Path, folder: Path) -> None:
    """Fetch the browser, unless another process does or has done."""
    path = folder / ".lock"
    while not program.exists():
        folder.mkdir(exist_ok=True)
        try:
            lock = path.open("w")
        except FileNotFoundError:
            # Another process that could not fetch it has removed the folder.
            continue
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if is_same_file(lock, path) and not program.exists():
                _fetch_or_remove(folder)


def _fetch_or_remove(folder: Path) -> None:
    try:
        _fetch(folder)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _fetch(folder: Path) -> None:
    """Download the packages that this machine lacks, and unpack them; nothing is installed."""
    if not shutil.which("apt-get"):
        message = f"no Chromium is installed, and there is no apt-get to fetch {PACKAGE}: install Chromium or Google Chrome"
        raise ServerError(message)
    downloads, unpacked = folder / "downloads", folder / "unpacked"
    for each in (downloads, unpacked):
        shutil.rmtree(each, ignore_errors=True)
        each.mkdir()
    plan = ["apt-get", "install", "--simulate", "--no-install-recommends", PACKAGE]
    planned = _run(plan, folder)
    if planned is None and os.geteuid() == 0:
        _run(["apt-get", "update", "--quiet"], folder)
        planned = _run(plan, folder)
    names = [line.split()[1] for line in (planned or "").splitlines() if line.startswith("Inst ")]
    download = ["apt-get", "-o", "APT::Sandbox::User=root", "download", "--quiet", *names]
    if not names or _run(download, downloads) is None:
        message = f"apt-get could not fetch {PACKAGE}: run `apt-get update` as root and start again, or install Chromium"
        raise ServerError(message)
    for package in downloads.glob("*.deb"):
        if _run(["dpkg", "--extract", str(package), str(unpacked)], folder) is None:
            message = f"dpkg could not unpack {package.name}: is there room on the disk? Or install Chromium"
            raise ServerError(message)
    shutil.rmtree(downloads)
    unpacked.rename(folder / "root")


def _run(command: list[str], folder: Path) -> str | None:
    """Return what a program printed, None when it failed."""
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=FETCH_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


@contextlib.contextmanager
def chromium() -> Iterator[Chromium]:
    """Give a running browser, which ends with us."""
    program = find()
    with private_directory() as folder, contextlib.ExitStack() as stack:
        to_read, to_write = _pipe(stack)
        from_read, from_write = _pipe(stack)
        command = [
            sys.executable,
            "-c",
            LAUNCHER,
            str(to_read),
            str(from_write),
            str(program),
            *_options(folder),
        ]
        log = folder / "log"
        with log.open("wb") as output:
            popen = subprocess.Popen(
                dying_with_parent(command),
                pass_fds=(to_read, from_write),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=_environment(folder),
                start_new_session=True,
            )
        os.close(to_read)
        os.close(from_write)
        process = Process(popen, log)
        try:
            yield Chromium(process, to_write, from_read)
        finally:
            process.kill()


def _pipe(stack: contextlib.ExitStack) -> tuple[int, int]:
    """Return a pipe whose ends have numbers above those that the browser uses."""
    ends = []
    for end in os.pipe():
        ends.append(fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10))
        os.close(end)
    stack.callback(_close, *ends)
    return ends[0], ends[1]


def _close(*files: int) -> None:
    for file in files:
        with contextlib.suppress(OSError):
            os.close(file)


def _options(folder: Path) -> list[str]:
    return [
        "--headless",
        "--remote-debugging-pipe",
        # It opens our own pages only, and a root without namespaces has no other way.
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--no-first-run",
        f"--user-agent={USER_AGENT}",
        f"--user-data-dir={folder}/profile",
        # Hosts of our own, and nothing beyond this machine.
        "--host-resolver-rules=MAP *.test 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
    ]


def _environment(folder: Path) -> dict[str, str]:
    libraries = [
        str(each)
        for pattern in ("usr/lib/*-linux-gnu*", "usr/lib/*-linux-gnu*/pulseaudio")
        for each in sorted((FOLDER / "root").glob(pattern))
    ]
    return {"PATH": os.defpath, "HOME": str(folder), "LD_LIBRARY_PATH": os.pathsep.join(libraries)}


class Chromium:
    """A browser that runs; it speaks JSON with a NUL behind each message."""

    def __init__(self, process: Process, to_browser: int, from_browser: int) -> None:
        self._process = process
        self._to = to_browser
        self._from = from_browser
        self._unread = b""
        self._count = 0
        self._events: list[dict[str, Any]] = []

    def tab(self) -> Tab:
        """Return a new tab."""
        target = self.call("Target.createTarget", {"url": "about:blank"})["targetId"]
        session = self.call("Target.attachToTarget", {"targetId": target, "flatten": True})["sessionId"]
        tab = Tab(self, session)
        for domain in ("Network", "Page", "Runtime"):
            tab.call(f"{domain}.enable")
        return tab

    @contextlib.contextmanager
    def unwatched(self, url: str) -> Iterator[None]:
        """Give a tab that nobody listens to while it is open: what is listened to is never rendered in advance."""
        target = self.call("Target.createTarget", {"url": url})["targetId"]
        try:
            yield
        finally:
            self.call("Target.closeTarget", {"targetId": target})

    def call(
        self, method: str, parameters: Mapping[str, Any] | None = None, session: str | None = None
    ) -> dict[str, Any]:
        """
        Give a command and return its result.

        Raises:
            ServerError: The browser refused it, or ended.
        """
        self._count += 1
        number = self._count
        message = {"id": number, "method": method, "params": dict(parameters or {})}
        with contextlib.suppress(BrokenPipeError):  # What it said last is read below.
            os.write(
                self._to, json.dumps(message | ({"sessionId": session} if session else {})).encode() + b"\0"
            )
        while True:
            answer = self._read()
            if answer.get("id") == number:
                break
            self._events.append(answer)
        if "error" in answer:
            text = f"{method}: {answer['error']}"
            raise ServerError(text)
        result: dict[str, Any] = answer["result"]
        return result

    def wait_for(self, session: str, method: str) -> dict[str, Any]:
        """Return the next event of a kind in one tab."""
        seen = 0
        while True:
            for position, event in enumerate(self._events[seen:], seen):
                if event.get("method") == method and event.get("sessionId") == session:
                    del self._events[position]
                    found: dict[str, Any] = event["params"]
                    return found
            seen = len(self._events)
            self._events.append(self._read())

    def pending(self, session: str, method: str) -> list[dict[str, Any]]:
        """Return the events of a kind that came so far."""
        mine = [event for event in self._events if event.get("sessionId") == session]
        return [event["params"] for event in mine if event.get("method") == method]

    def events(self, session: str, method: str) -> list[dict[str, Any]]:
        """Return the events of a kind that came so far, and forget all others of the tab."""
        found = self.pending(session, method)
        self._events = [event for event in self._events if event.get("sessionId") != session]
        return found

    def _read(self) -> dict[str, Any]:
        deadline = time.monotonic() + ANSWER_SECONDS
        while b"\0" not in self._unread:
            ready, _, _ = select.select([self._from], [], [], max(0, deadline - time.monotonic()))
            content = os.read(self._from, 65536) if ready else b""
            if not content:
                message = f"Chromium says nothing; its log ends with:\n{self._process.log_tail()}"
                raise ServerError(message)
            self._unread += content
        message_, _, self._unread = self._unread.partition(b"\0")
        read: dict[str, Any] = json.loads(message_)
        return read


class Tab:
    """What a visitor looks at."""

    def __init__(self, browser: Chromium, session: str) -> None:
        self._browser = browser
        self._session = session

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Give a command to the tab."""
        return self._browser.call(method, parameters, self._session)

    def open(self, url: str) -> None:
        """Open a page, and wait until all of it is there."""
        self._browser.events(self._session, "Page.loadEventFired")
        answer = self.call("Page.navigate", url=url)
        if "errorText" in answer:
            message = f"{url}: {answer['errorText']}"
            raise ServerError(message)
        self._browser.wait_for(self._session, "Page.loadEventFired")

    def run(self, program: str) -> Any:
        """
        Run JavaScript in the page and return what it returns, awaited.

        Raises:
            ServerError: It threw.
        """
        answer = self.call(
            "Runtime.evaluate", expression=program, awaitPromise=True, returnByValue=True, userGesture=True
        )
        if "exceptionDetails" in answer:
            raise ServerError(str(answer["exceptionDetails"]))
        return answer["result"].get("value")

    def go(self, program: str) -> None:
        """
        Run JavaScript that leads to another page, and wait for that.

        Raises:
            ServerError: The browser shows a page of its own instead, for no answer came; says why.
        """
        self._browser.events(self._session, "Page.loadEventFired")
        self.run(program)
        self._browser.wait_for(self._session, "Page.loadEventFired")
        for failed in self._browser.pending(self._session, "Network.loadingFailed"):
            is_of_page = failed["type"] == "Document" and not failed.get("canceled")
            if is_of_page and failed["errorText"] != EMPTY_REFUSAL:
                message = f"{program}: {failed['errorText']}"
                raise ServerError(message)

    def cookies(self) -> dict[str, dict[str, Any]]:
        """Return the visitor's cookies of all sites by their names, those that no script may read too."""
        found = self._browser.call("Storage.getCookies")["cookies"]
        return {cookie["name"]: cookie for cookie in found}

    @staticmethod
    def wait_until(is_so: Callable[[], bool]) -> None:
        """
        Return when something has happened that nobody waits for in the page.

        Raises:
            ServerError: It never did.
        """
        deadline = time.monotonic() + ANSWER_SECONDS
        while not is_so():
            if time.monotonic() > deadline:
                message = "what was waited for never happened"
                raise ServerError(message)
            time.sleep(POLL_SECONDS)

    def forget(self) -> None:
        """Become a visitor whom nobody has seen."""
        self.open("about:blank")
        self._browser.call("Storage.clearCookies")
        self.faults()

    def faults(self) -> list[str]:
        """Return what the page threw or complained of since the last load."""
        thrown = self._browser.events(self._session, "Runtime.exceptionThrown")
        return [str(each["exceptionDetails"]) for each in thrown]
