"""
The processes of the demo: started here, waited for until they answer, ended together.

Each of them dies with this process, however it ends (see `processes`, Note [Dying with the parent]).
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import requests

from example_project.processes import Process, ServerError, private_directory, spawn, wait_until
from example_project.servers import RedisServer

PROJECT: Final = Path(__file__).resolve().parent.parent.parent
CELERY: Final = ("-m", "celery", "--app", "example_project")
# There is one worker: it need not look for others, which takes a second.
ALONE: Final = ("--without-mingle", "--without-gossip", "--without-heartbeat")
# A worker that is asked to end finishes its batch; nothing is lost when it is not given the time.
END_SECONDS: Final = 3.0
LOG_LINES: Final = 15


class StageError(ServerError):
    """Somebody left the stage, or failed there; the message ends with the last lines of the log that tells why."""


@dataclass(kw_only=True)
class Stage:
    """
    Where the story plays: addresses, and the processes behind them by name.

    `directory` holds the SQLite file, the sockets, and one log per process. `environment` is every process's own.
    """

    directory: Path
    environment: dict[str, str]
    site: str
    sandbox: str = ""
    processes: dict[str, Process] = field(default_factory=dict)

    def start(self, name: str, *command: str, is_logged: bool = True) -> Process:
        """Start a Python program under this name; what it says goes to `<name>.log`, or to our own output."""
        log = self.directory / f"{name}.log" if is_logged else None
        process = spawn([sys.executable, *command], env=self.environment, log=log, cwd=PROJECT)
        self.processes[name] = process
        return process

    def run(self, name: str, *command: str) -> None:
        """
        Run a program to its end.

        Raises:
            ServerError: It failed, or took too long.
        """
        process = self.start(name, *command)
        wait_until(lambda: not process.is_running, process, name)
        if self.dismiss(name):
            message = f"{name} failed"
            raise self.error(message, name)

    def wait_for(self, name: str, is_ready: Callable[[], bool]) -> None:
        """
        Wait until a process is ready.

        Raises:
            ServerError: It ended, or the time is up.
        """
        wait_until(is_ready, self.processes[name], name)

    def check(self, *names: str) -> None:
        """
        Make sure that these processes are there, or all of them.

        Raises:
            StageError: One ended by itself.
        """
        for name in names or self.processes:
            if not self.processes[name].is_running:
                message = f"{name} ended by itself with {self.processes[name].wait()}"
                raise self.error(message, name)

    def dismiss(self, name: str) -> int:
        """End a process, if it has not ended already, and return its exit code."""
        return self.processes.pop(name).terminate(END_SECONDS)

    def clear(self) -> None:
        """End all processes, the one that started last first."""
        for name in reversed(tuple(self.processes)):
            self.dismiss(name)

    def error(self, message: str, *names: str) -> StageError:
        """Return an error that ends with the last lines of the logs of these processes."""
        lines = [f"{message}."]
        for name in names:
            lines += ["", f"The log of {name} ends with:", *self.log_of(name).splitlines()[-LOG_LINES:]]
        return StageError("\n".join(lines))

    def log_of(self, name: str) -> str:
        """Return what a process said so far, "" for one that has no log."""
        log = self.directory / f"{name}.log"
        return log.read_text(errors="replace") if log.exists() else ""


@contextmanager
def set_stage(port: int = 0) -> Iterator[Stage]:
    """
    Start what the story needs, and end it afterwards.

    A database or a broker that the environment names (`DATABASE_URL`, `CELERY_BROKER_URL`) is used as it is.

    Args:
        port: Where the site listens on 127.0.0.1; 0 for any free port.

    Raises:
        ServerError: Something did not start, or the body raised it; the logs are kept, and a note says where.
    """
    with private_directory() as directory, ExitStack() as stack:
        stage = Stage(
            directory=directory,
            environment=_environment(directory),
            site=f"http://127.0.0.1:{port or _free_port()}",
        )
        stack.callback(stage.clear)
        try:
            if not stage.environment.get("CELERY_BROKER_URL"):
                redis = RedisServer(directory)
                stack.callback(redis.stop)
                stage.environment["CELERY_BROKER_URL"] = redis.url
            _start_sandbox(stage)
            _start_host(stage)
            yield stage
        except ServerError as error:
            error.add_note(f"All logs are kept in {_keep_logs(directory)}")
            raise


def _environment(directory: Path) -> dict[str, str]:
    return {
        **os.environ,
        "DATABASE_URL": os.environ.get("DATABASE_URL") or f"sqlite:///{directory / 'demo.sqlite3'}",
        "DJANGO_SETTINGS_MODULE": "example_project.settings",
        "DJANGO_SUPERUSER_PASSWORD": secrets.token_urlsafe(9),
        "PYTHONUNBUFFERED": "1",
        # What a worker that is killed leaves behind goes with the stage.
        "TMPDIR": str(directory),
        "TRACK360_BRAND_TOKEN": secrets.token_hex(16),
    }


def _start_sandbox(stage: Stage) -> None:
    """Start the sandbox on a port that it chooses and says."""
    token = stage.environment["TRACK360_BRAND_TOKEN"]
    stage.start("sandbox", "-m", "track360_django.sandbox", "--port", "0", "--token", token)
    stage.wait_for("sandbox", lambda: stage.log_of("sandbox").endswith("\n"))
    stage.sandbox = stage.log_of("sandbox").splitlines()[0]
    stage.environment["TRACK360_BASE_URL"] = stage.sandbox


def _start_host(stage: Stage) -> None:
    """Migrate, start the host's processes, then wait for all of them: they load in parallel."""
    stage.run("migrate", "manage.py", "migrate", "--no-input", "--skip-checks")
    # Note [One worker, solo]
    # The solo pool runs tasks in the worker's own process. Production takes the prefork pool; here a child of the
    # pool would be left behind when the demo is killed with -9, since only the worker itself dies with its parent.
    stage.start("worker", *CELERY, "worker", "--pool", "solo", "--loglevel", "info", *ALONE)
    stage.start(
        "web", "manage.py", "runserver", "--noreload", "--skip-checks", stage.site.removeprefix("http://")
    )
    files = "--schedule", str(stage.directory / "beat-schedule"), "--pidfile", ""
    stage.start("beat", *CELERY, "beat", "--loglevel", "info", *files)
    stage.wait_for("web", lambda: _answers(f"{stage.site}/"))
    stage.wait_for("worker", lambda: " ready." in stage.log_of("worker"))
    stage.wait_for("beat", lambda: "beat: Starting" in stage.log_of("beat"))


def _free_port() -> int:
    """Return a port of 127.0.0.1 that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _answers(url: str) -> bool:
    """Tell whether a server answers a GET with success."""
    with requests.Session() as session:
        session.trust_env = False
        try:
            return session.get(url, timeout=2).ok
        except requests.RequestException:
            return False


def _keep_logs(directory: Path) -> Path:
    """Copy the logs to where they outlive the stage."""
    kept = Path(tempfile.mkdtemp(prefix="track360-demo-"))
    for log in directory.glob("*.log"):
        shutil.copy(log, kept)
    return kept
