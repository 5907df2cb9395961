"""The embedded servers and child processes: they answer, freeze, come back, and never outlive their parent."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
import redis
from django.conf import settings
from django.contrib.auth.models import User
from kombu import Connection

from example_project import processes, servers
from example_project.settings import BASE_DIR
from tests.conftest import SpawnHost

# Long enough for a loaded machine, short enough for a person.
PATIENCE_SECONDS = 15.0


def wait_for(condition: Callable[[], bool]) -> None:
    """Return as soon as a condition holds; fail when it does not in time."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    """Tell whether a process exists and is no zombie."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def run_parent(program: str, tmp_path: Path) -> tuple[subprocess.Popen[bytes], list[str]]:
    """Start a Python program in the project, and return it with the words of the first line it prints."""
    parent = subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=BASE_DIR,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
    )
    assert parent.stdout is not None
    with parent.stdout:
        return parent, parent.stdout.readline().decode().split()


def test_running_redis_answers_celery_and_redis_py(redis_server: servers.RedisServer) -> None:
    """Both clients reach the server over its unix socket, each with its own kind of address."""
    with Connection(redis_server.url) as connection, connection.SimpleQueue("track360-test") as queue:
        queue.put("hello")
        message = queue.get(timeout=PATIENCE_SECONDS)
        message.ack()
    with redis.Redis.from_url(redis_server.client_url) as client:
        assert client.ping()

    assert message.payload == "hello"


def test_paused_redis_accepts_and_never_answers(private_redis: servers.RedisServer) -> None:
    """A frozen server takes connections and stays silent; it answers again when it goes on."""
    private_redis.pause()

    with pytest.raises(TimeoutError):
        private_redis.command("PING", timeout_seconds=0.2)

    private_redis.resume()
    assert private_redis.command("PING") == b"+PONG\r\n"


def test_killed_redis_refuses_connections(private_redis: servers.RedisServer) -> None:
    """A killed server's address refuses."""
    private_redis.kill()

    with pytest.raises(ConnectionRefusedError):
        private_redis.command("PING")


def test_restarted_redis_is_empty_at_the_same_address(private_redis: servers.RedisServer) -> None:
    """Nothing survives a restart but the address."""
    private_redis.command("SET", "key", "value")

    private_redis.restart()

    assert private_redis.command("DBSIZE") == b":0\r\n"


def test_tcp_redis_answers_on_loopback(private_tcp_redis: servers.RedisServer) -> None:
    """A server asked for TCP listens on 127.0.0.1."""
    assert private_tcp_redis.url.startswith("redis://127.0.0.1:")
    assert private_tcp_redis.command("PING") == b"+PONG\r\n"


def test_two_redis_servers_do_not_meet(
    private_redis: servers.RedisServer, redis_server: servers.RedisServer
) -> None:
    """Servers that run at the same time keep their keys apart."""
    private_redis.command("SET", "only-here", "value")

    assert redis_server.command("GET", "only-here") == b"$-1\r\n"


def test_postgres_answers_and_survives_a_kill(private_postgres: servers.PostgresServer) -> None:
    """What was committed is there after a restart, and after kill -9 and a restart."""
    with psycopg.connect(private_postgres.url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT version() AS version")

    private_postgres.restart()
    private_postgres.kill()
    private_postgres.restart()

    with psycopg.connect(private_postgres.url) as connection:
        row = connection.execute("SELECT version FROM kept").fetchone()
    assert row is not None
    assert row[0].startswith("PostgreSQL 18")


def test_stopped_postgres_leaves_no_process(private_postgres: servers.PostgresServer) -> None:
    """Stopping ends the server's own children too."""
    children = servers._children(private_postgres.pid)
    assert children

    private_postgres.stop()

    wait_for(lambda: not any(is_alive(pid) for pid in children))


def test_killed_parent_takes_its_servers_along(tmp_path: Path) -> None:
    """Kill -9 of the process that started the servers ends them, and the next start removes what they left."""
    program = (
        "import time\n"
        "from example_project.servers import redis_server, postgres_server\n"
        "with redis_server() as redis, postgres_server() as postgres:\n"
        "    print(redis.pid, postgres.pid, redis.socket, flush=True)\n"
        "    time.sleep(60)\n"
    )
    parent, (redis_pid, postgres_pid, socket) = run_parent(program, tmp_path)

    parent.kill()
    parent.wait()

    wait_for(lambda: not is_alive(int(redis_pid)) and not is_alive(int(postgres_pid)))
    processes.remove_abandoned(Path(socket).parent.parent)
    assert not Path(socket).parent.exists()


def test_living_servers_directory_is_not_removed(private_redis: servers.RedisServer) -> None:
    """Another start leaves the directory of a server that lives alone."""
    processes.remove_abandoned(private_redis.socket.parent.parent)

    assert private_redis.command("PING") == b"+PONG\r\n"


def test_server_that_cannot_start_shows_its_log(tmp_path: Path) -> None:
    """The error of a failed start ends with what the server said."""
    process = servers.spawn([sys.executable, "-c", "raise SystemExit('no such luck')"], log=tmp_path / "log")

    with pytest.raises(servers.ServerError, match=r"(?s)Redis did not start.*no such luck"):
        processes.wait_until(lambda: False, process, "Redis")


def test_missing_wheel_names_the_way_out() -> None:
    """A wheel that is not installed is an error that says what to run."""
    with pytest.raises(servers.ServerError, match=r"nowhere is not installed.*manage\.py test"):
        servers._package_directory("nowhere")


def test_spawn_from_a_thread_is_refused() -> None:
    """A child that would die with a thread is not started."""
    errors: list[RuntimeError] = []

    def start() -> None:
        try:
            servers.spawn([sys.executable, "-c", ""])
        except RuntimeError as error:
            errors.append(error)

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()

    assert "main thread" in str(errors[0])


def test_terminated_process_ends_politely(tmp_path: Path) -> None:
    """A process that handles SIGTERM ends with its own exit code, even while it is frozen."""
    log = tmp_path / "log"
    program = (
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))\n"
        "print('ready', flush=True)\n"
        "time.sleep(60)\n"
    )
    process = servers.spawn([sys.executable, "-c", program], log=log)
    wait_for(lambda: "ready" in log.read_text())
    process.pause()

    assert process.terminate() == 7


def test_stubborn_process_is_killed_after_its_grace(tmp_path: Path) -> None:
    """A process that ignores SIGTERM is killed, and its own child with it."""
    log = tmp_path / "log"
    program = (
        "import signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print(subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']).pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    process = servers.spawn([sys.executable, "-c", program], log=log)
    wait_for(lambda: log.read_text().endswith("\n"))

    assert process.terminate(grace_seconds=0.1) == -signal.SIGKILL
    wait_for(lambda: not is_alive(int(log.read_text())))


def test_long_temporary_directory_gives_a_short_socket(tmp_path: Path) -> None:
    """A socket's path fits even where the system's temporary directory has a long name."""
    long_root = tmp_path / ("long" * 30)
    long_root.mkdir()
    program = (
        "from example_project.servers import redis_server\n"
        "with redis_server() as server:\n"
        "    print(len(str(server.socket)), server.command('PING').decode().strip())\n"
    )

    parent, words = run_parent(program, long_root)

    assert parent.wait() == 0
    assert int(words[0]) <= processes.MAX_SOCKET_PATH_BYTES
    assert words[1] == "+PONG"


def test_process_of_the_host_sees_what_the_test_committed(spawn_host: SpawnHost, tmp_path: Path) -> None:
    """A process started by a test works on the test's own database and broker."""
    User.objects.create_user("alex")
    program = (
        "import django; django.setup()\n"
        "from django.conf import settings\n"
        "from django.contrib.auth.models import User\n"
        "print(User.objects.get().username, settings.CELERY_BROKER_URL)\n"
    )

    process = spawn_host("-c", program, name="reader")

    assert process.wait(PATIENCE_SECONDS) == 0, process.log_tail()
    assert (tmp_path / "reader.log").read_text().split() == ["alex", settings.CELERY_BROKER_URL]


@pytest.mark.postgres
def test_suite_on_postgres_uses_the_embedded_server(
    postgres_server: servers.PostgresServer, host_environment: dict[str, str]
) -> None:
    """A process of the host is given the test database of the running Postgres."""
    assert str(postgres_server.sockets) in host_environment["DATABASE_URL"].replace("%2F", "/")

    with psycopg.connect(host_environment["DATABASE_URL"]) as connection:
        row = connection.execute("SELECT current_database()").fetchone()

    assert row is not None
    assert row[0].startswith("test_")
