"""
Child processes that die with the process that started them, and private directories that vanish with it.

The servers, the demo and the tests start everything through here.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol, Self

PREFIX = "t360-"
LOCK = ".lock"
START_SECONDS = 30.0
POLL_SECONDS = 0.01
# A unix socket's address holds 108 bytes with its closing NUL, on Linux.
MAX_SOCKET_PATH_BYTES = 107

# Note [Dying with the parent]
# Linux sends PR_SET_PDEATHSIG (1) when the *thread* that started the child ends, so children start in the main thread.
# The setting does not survive a change of user and survives exec: this launcher changes the user, sets it, then
# becomes the program. A `preexec_fn` would do the same, but forking with live threads is a warning since Python 3.12.
# Other systems have no such signal; there a child outlives a parent that is killed with -9.
LAUNCHER = """
import ctypes, os, sys
parent, uid, gid, *args = sys.argv[1:]
if int(uid) >= 0:
    os.setgroups([])
    os.setgid(int(gid))
    os.setuid(int(uid))
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, 9)
if os.getppid() != int(parent):
    os._exit(1)
os.execvp(args[0], args)
"""


class ServerError(RuntimeError):
    """A server did not start or did not answer; the message ends with the last lines of its log."""


class Child(Protocol):
    """What is asked of a child process: a `subprocess.Popen` can do it."""

    @property
    def pid(self) -> int:
        """Its process id."""

    def poll(self) -> int | None:
        """Return its exit code, None while it runs."""

    def wait(self, timeout: float | None = None) -> int:
        """Return its exit code."""

    def send_signal(self, number: signal.Signals, /) -> None:
        """Send it a signal."""


class Process:
    """
    A child process that dies with its parent, in a process group of its own.

    `pid` is the leader's. Signals that freeze or kill go to the whole group, a polite end to the leader alone.
    """

    def __init__(self, child: Child, log: Path | None) -> None:
        self._child = child
        self.pid = child.pid
        self.log = log

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.terminate()

    @property
    def is_running(self) -> bool:
        """Whether the leader lives (a paused one does)."""
        return self._child.poll() is None

    def wait(self, timeout_seconds: float | None = None) -> int:
        """Return the exit code, negative for a signal; raise `subprocess.TimeoutExpired` when it takes longer."""
        return self._child.wait(timeout_seconds)

    def pause(self) -> None:
        """Freeze the whole group (SIGSTOP)."""
        self._signal_group(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a frozen group go on (SIGCONT)."""
        self._signal_group(signal.SIGCONT)

    def kill(self) -> int:
        """Kill the whole group with -9, now, and return the leader's exit code."""
        self._signal_group(signal.SIGKILL)
        return self.wait()

    def terminate(self, grace_seconds: float = 10.0, *, with_signal: signal.Signals = signal.SIGTERM) -> int:
        """Ask the leader to end, and return its exit code; see `terminate_all`."""
        terminate_all([self], grace_seconds, with_signal=with_signal)
        return self.wait()

    def log_tail(self, lines: int = 20) -> str:
        """Return the last lines the process wrote, for an error message."""
        if self.log is None or not self.log.exists():
            return "(no log)"
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def _ask_to_end(self, number: signal.Signals) -> None:
        if self.is_running:
            self._child.send_signal(number)
            self.resume()

    def _signal_group(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)


def terminate_all(
    processes: Sequence[Process],
    grace_seconds: float = 10.0,
    *,
    with_signal: signal.Signals = signal.SIGTERM,
) -> None:
    """Ask all to end at once; kill the group of each that takes longer, or has left children behind."""
    deadline = time.monotonic() + grace_seconds
    for process in processes:
        process._ask_to_end(with_signal)  # noqa: SLF001  its own module
    for process in processes:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(max(0.0, deadline - time.monotonic()))
        process.kill()


def spawn(
    args: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    log: Path | None = None,
    cwd: Path | None = None,
    user: pwd.struct_passwd | None = None,
) -> Process:
    """
    Start a program that dies with this process.

    Args:
        args: The program and its arguments.
        env: Its whole environment; without it, ours.
        log: The file that gets its output, appended; without it, the output is ours.
        cwd: Its working directory; without it, ours.
        user: Who it runs as; only root may ask for this.

    Raises:
        RuntimeError: Not called from the main thread, see Note [Dying with the parent].
    """
    if threading.current_thread() is not threading.main_thread():
        message = "A child dies with the thread that started it: call spawn() from the main thread."
        raise RuntimeError(message)
    with contextlib.ExitStack() as stack:
        output = stack.enter_context(log.open("ab")) if log else None
        popen = subprocess.Popen(
            dying_with_parent(args, user=user),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=env,
            cwd=cwd,
            start_new_session=True,
        )
    return Process(popen, log)


def dying_with_parent(args: Sequence[str | Path], *, user: pwd.struct_passwd | None = None) -> list[str]:
    """Return the command line that runs a program so that it ends with us; see Note [Dying with the parent]."""
    ids = [str(user.pw_uid), str(user.pw_gid)] if user else ["-1", "-1"]
    return [sys.executable, "-I", "-S", "-c", LAUNCHER, str(os.getpid()), *ids, *map(str, args)]


@contextlib.contextmanager
def private_directory(*, has_guest: bool = False) -> Iterator[Path]:
    """
    Give a new directory with a short path, removed at the end.

    With a guest, a process of another user gets through to it; what it may do there is for the caller to say.

    What an earlier process left behind because it was killed is removed too: the lock says who lives.
    """
    root = _temporary_root(has_guest=has_guest)
    remove_abandoned(root)
    directory = Path(tempfile.mkdtemp(prefix=PREFIX, dir=root))
    with (directory / ".new").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        # Nobody sees it before it is locked.
        (directory / ".new").rename(directory / LOCK)
        try:
            yield directory
        finally:
            shutil.rmtree(directory, ignore_errors=True)


def _temporary_root(*, has_guest: bool) -> Path:
    """
    Return the system's temporary directory, or /tmp when it would not do.

    A socket's path must fit, and a guest must get through.
    """
    root = Path(tempfile.gettempdir()).resolve()
    longest = root / f"{PREFIX}12345678" / "socket" / ".s.PGSQL.5432"
    is_short = len(os.fsencode(longest)) <= MAX_SOCKET_PATH_BYTES
    is_open = not has_guest or all(folder.stat().st_mode & 0o001 for folder in (root, *root.parents))
    return root if is_short and is_open else Path("/tmp")  # noqa: S108 - mkdtemp makes a private directory in it


def remove_abandoned(root: Path) -> None:
    """Remove the private directories whose process is gone: nobody holds their locks."""
    for lock in root.glob(f"{PREFIX}*/{LOCK}"):
        with contextlib.suppress(OSError):
            if lock.parent.lstat().st_uid == os.geteuid():
                _remove_if_abandoned(lock)


def _remove_if_abandoned(lock: Path) -> None:
    with lock.open("r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(lock.parent, ignore_errors=True)


def wait_until(is_ready: Callable[[], bool], process: Process, name: str) -> None:
    """
    Return as soon as a server is ready.

    Raises:
        ServerError: It ended, or took too long; it is killed then.
    """
    deadline = time.monotonic() + START_SECONDS
    while not is_ready():
        if not process.is_running or time.monotonic() > deadline:
            process.kill()
            message = f"{name} did not start; its log ends with:\n{process.log_tail()}"
            raise ServerError(message)
        time.sleep(POLL_SECONDS)
