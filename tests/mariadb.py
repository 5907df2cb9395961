"""
MariaDB for the tests, on a unix socket, without durability; it dies with the process that started it.

It is set up to be hostile: a time zone that is not UTC, a character set without emoji.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from example_project.processes import (
    START_SECONDS,
    Process,
    ServerError,
    private_directory,
    spawn,
    wait_until,
)
from tests.packages import environment, give_to_guest, program, unprivileged_user


class MariaDBServer:
    """A MariaDB server of our own; `url` names a database that need not be there: the suite makes its own."""

    def __init__(self, directory: Path) -> None:
        self.log = directory / "mariadb.log"
        self.data = give_to_guest(directory / "data")
        self.socket = give_to_guest(directory / "socket") / "s"
        self.server = program("mariadbd")
        self._install()
        self.process = self._start()

    @property
    def url(self) -> str:
        """Return the server's address for `DATABASE_URL`."""
        return f"mysql://root@localhost/host?unix_socket={quote(str(self.socket))}"

    def stop(self) -> None:
        """End the server."""
        self.process.terminate()

    def restart(self) -> None:
        """Stop and start again on the same data and at the same address: every connection is cut."""
        self.stop()
        self.process = self._start()

    def _install(self) -> None:
        """Make the system tables."""
        words: list[str | Path] = [
            program("mariadb-install-db"),
            *self._places(),
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
            "--skip-name-resolve",
        ]
        user = unprivileged_user()
        process = spawn(words, env=environment(), log=self.log, cwd=self.data, user=user)
        if process.wait(START_SECONDS):
            message = f"mariadb-install-db failed; its log ends with:\n{process.log_tail()}"
            raise ServerError(message)

    def _start(self) -> Process:
        words: list[str | Path] = [self.server, *self._places(), *self._options()]
        user = unprivileged_user()
        process = spawn(words, env=environment(), log=self.log, cwd=self.data, user=user)
        wait_until(self._answers, process, "MariaDB")
        return process

    def _places(self) -> list[str]:
        return ["--no-defaults", f"--basedir={self.server.parent.parent}", f"--datadir={self.data}"]

    def _options(self) -> list[str]:
        return [
            f"--socket={self.socket}",
            "--skip-networking",
            "--skip-name-resolve",
            "--skip-log-bin",
            "--innodb-flush-log-at-trx-commit=0",
            "--innodb-doublewrite=0",
            "--max-connections=100",
            # What a host may find at home, and must not be hurt by.
            "--default-time-zone=+05:00",
            "--character-set-server=latin1",
        ]

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as connection:
            try:
                connection.settimeout(1.0)
                connection.connect(str(self.socket))
                return bool(connection.recv(1))
            except OSError:
                return False


@contextlib.contextmanager
def mariadb_server() -> Iterator[MariaDBServer]:
    """Run MariaDB for the length of a `with` block."""
    with private_directory(has_guest=unprivileged_user() is not None) as directory:
        server = MariaDBServer(directory)
        try:
            yield server
        finally:
            server.stop()
