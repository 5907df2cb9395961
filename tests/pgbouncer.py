"""PgBouncer for the tests: pools transactions in front of a Postgres server, with two connections a database."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from example_project.processes import Process, private_directory, spawn, wait_until
from tests.packages import environment, give_to_guest, program, unprivileged_user

if TYPE_CHECKING:
    from example_project.servers import PostgresServer

POOL_SIZE: Final = 2
PORT: Final = 6432

CONFIGURATION: Final = """
[databases]
* = host={sockets} port={port} user=postgres

[pgbouncer]
listen_addr =
listen_port = {pooler_port}
unix_socket_dir = {directory}
unix_socket_mode = 0700
auth_type = any
pool_mode = transaction
default_pool_size = {size}
max_client_conn = 200
# Also after a restart of the server: try again at once, not after 15 seconds.
server_login_retry = 0.2
"""


class PgBouncer:
    """A pooler in front of a Postgres server; `url` leads through it to the database `postgres`."""

    def __init__(self, directory: Path, postgres: PostgresServer) -> None:
        self.log = directory / "pgbouncer.log"
        self.sockets = give_to_guest(directory / "pool")
        self.configuration = directory / "pgbouncer.ini"
        text = CONFIGURATION.format(
            sockets=postgres.sockets,
            port=postgres.PORT,
            pooler_port=PORT,
            directory=self.sockets,
            size=POOL_SIZE,
        )
        self.configuration.write_text(text)
        self.configuration.chmod(0o644)
        self.process = self._start()

    @property
    def url(self) -> str:
        """Return the address of the database `postgres`, through the pooler."""
        return f"postgresql://postgres@:{PORT}/postgres?host={quote(str(self.sockets))}"

    def stop(self) -> None:
        """End the pooler at once."""
        self.process.terminate()

    def _start(self) -> Process:
        words = [program("pgbouncer"), self.configuration]
        user = unprivileged_user()
        process = spawn(words, env=environment(), log=self.log, cwd=self.sockets, user=user)
        wait_until(self._answers, process, "PgBouncer")
        return process

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as connection:
            try:
                connection.connect(os.fsencode(self.sockets / f".s.PGSQL.{PORT}"))
            except OSError:
                return False
        return True


@contextlib.contextmanager
def pgbouncer(postgres: PostgresServer) -> Iterator[PgBouncer]:
    """Run PgBouncer in front of a server for the length of a `with` block."""
    with private_directory(has_guest=unprivileged_user() is not None) as directory:
        pooler = PgBouncer(directory, postgres)
        try:
            yield pooler
        finally:
            pooler.stop()
