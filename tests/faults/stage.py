"""The stage of a story: servers and processes of its own, started, named and ended here, with all they write kept."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from example_project import servers
from example_project.processes import Process, private_directory, wait_until
from tests.faults.api import TOKEN, FaultServer
from tests.forking import HOST, WarmProcess
from tests.misbehaving import MisbehavingServer

ROOT: Final = Path(__file__).resolve().parent.parent.parent
SETTINGS: Final = "tests.faults.settings"
CELERY: Final = ("-m", "celery", "-A", "example_project")
WORKER: Final = (
    *CELERY,
    "worker",
    "--concurrency=2",
    "--loglevel=DEBUG",
    "--without-gossip",
    "--without-mingle",
)


class Stage:
    """
    All that a story plays on.

    Attributes:
        api: The fault server.
        trap: Where redirects lead; nobody may come.
        redis: The broker.
        postgres: The database's server, None on SQLite.
        workers: The Celery workers by name; `beat` is one of them.
        producers: The host's processes by name.
    """

    def __init__(self, directory: Path, database: str, stack: contextlib.ExitStack) -> None:
        self.directory = directory
        self.api = stack.enter_context(FaultServer())
        self.trap = stack.enter_context(MisbehavingServer())
        self.redis = stack.enter_context(servers.redis_server())
        self.postgres = stack.enter_context(servers.postgres_server()) if database == "postgres" else None
        self.workers: dict[str, Process] = {}
        self.producers: dict[str, Process] = {}
        self._started = 0
        self._stack = stack
        # Whoever dies is replaced by a fork, which takes a moment where a new Python takes seconds on a busy machine.
        self._warm = stack.enter_context(WarmProcess(HOST))
        stack.enter_context(_Monitor(self.redis, directory / "broker.log"))

    @property
    def database_url(self) -> str:
        """Return the address of the host's database."""
        return self.postgres.url if self.postgres else f"sqlite:///{self.directory}/host.sqlite3"

    @property
    def environment(self) -> dict[str, str]:
        """Return what a process of the host needs to know."""
        return {
            "CELERY_BROKER_URL": self.redis.url,
            "DATABASE_URL": self.database_url,
            "DJANGO_SETTINGS_MODULE": SETTINGS,
            "TRACK360_BASE_URL": self.api.url,
            "TRACK360_BRAND_TOKEN": TOKEN,
        }

    @property
    def journals(self) -> list[Path]:
        """Return the producers' journals."""
        return sorted(self.directory.glob("*.journal"))

    def start_worker(self, name: str) -> None:
        """Start a Celery worker, or beat."""
        schedule = f"--schedule={self.directory / 'beat'}"
        words = (
            (*CELERY, "beat", "--loglevel=DEBUG", schedule, "--pidfile=")
            if name == "beat"
            else (*WORKER, f"--hostname={name}@faults")
        )
        self.workers[name] = self._spawn(name, *words)

    def start_producer(self, seed: int, seconds: float) -> None:
        """Start one more process of the host, under a name of its own."""
        self._started += 1
        name = f"p{self._started}"
        journal = str(self.directory / f"{name}.journal")
        words = ("-m", "tests.faults.producer", name, journal, str(seed), f"{seconds:.2f}")
        self.producers[name] = self._spawn(name, *words)

    def wait_for_workers(self) -> None:
        """Wait until all workers that were started take tasks: on a busy machine that lasts."""
        for name, worker in self.workers.items():
            if name != "beat":
                wait_until(lambda worker=worker: _is_ready(worker), worker, name)  # type: ignore[misc]  # bound now

    def texts(self) -> dict[str, str]:
        """Return all that was logged or went through the broker, by name."""
        return {path.name: path.read_text(errors="replace") for path in sorted(self.directory.glob("*.log"))}

    def _spawn(self, name: str, *words: str) -> Process:
        process = self._warm.spawn(
            *words,
            environment={**os.environ, **self.environment, "TMPDIR": str(self.directory)},
            log=self.directory / f"{name}.log",
            folder=ROOT,
        )
        self._stack.callback(process.kill)
        return process


@contextlib.contextmanager
def stage(database: str) -> Iterator[Stage]:
    """Set a stage for the length of a `with` block."""
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(private_directory())
        yield Stage(directory, database, stack)


def _is_ready(worker: Process) -> bool:
    return (
        worker.log is not None and worker.log.exists() and " ready." in worker.log.read_text(errors="replace")
    )


class _Monitor:
    """Writes down each command that the broker receives, also after it was restarted."""

    def __init__(self, redis: servers.RedisServer, path: Path) -> None:
        self._redis = redis
        self._path = path
        self._is_stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="monitor", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._is_stopping.set()
        self._thread.join(5)

    def _run(self) -> None:
        with self._path.open("ab") as file:
            while not self._is_stopping.is_set():
                with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
                    connection.settimeout(0.5)
                    connection.connect(str(self._redis.socket))
                    connection.sendall(b"MONITOR\r\n")
                    self._copy(connection, file.fileno())
                time.sleep(0.05)

    def _copy(self, connection: socket.socket, file: int) -> None:
        while not self._is_stopping.is_set():
            try:
                piece = connection.recv(65_536)
            except TimeoutError:
                continue
            if not piece:
                return
            os.write(file, piece)
