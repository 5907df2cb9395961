"""The stage: the servers and the contestants' processes, started once, idle until their turn, ended together."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import redis

from example_project.processes import Process, private_directory, spawn, wait_until
from example_project.servers import PostgresServer, RedisServer, postgres_server, redis_server

ROOT: Final = Path(__file__).resolve().parent.parent
POOL: Final = 2
# How long one measurement may take before something must be broken.
PATIENCE_SECONDS: Final = 180.0
# How often somebody looks whether the contestant that is waited for still lives.
LOOK_SECONDS: Final = 5.0
# What the fill leaves to do in the background is over by then.
CALM_SECONDS: Final = 0.3


class BenchmarkError(RuntimeError):
    """Something did not do its work; the message ends with the last lines of its log."""


@dataclass(kw_only=True)
class Api:
    """The running API server, seen from the benchmark."""

    url: str

    def reset(self, *, latency_ms: float = 0.0, is_noting_arrivals: bool = False) -> None:
        """Have it count anew."""
        self._get(f"/-/reset?latency_ms={latency_ms}" + ("&arrivals=1" if is_noting_arrivals else ""))

    def wait(self, count: int) -> bool:
        """Wait a while until it has accepted so many records; tell whether it has."""
        try:
            self._get(f"/-/wait?count={count}", LOOK_SECONDS)
        except TimeoutError:
            return False
        return True

    def arrivals(self) -> dict[str, float]:
        """Return when each event came, by this machine's monotonic clock."""
        return dict(self._get("/-/arrivals"))

    def _get(self, target: str, patience_seconds: float = 30.0) -> Any:
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=patience_seconds)
        with contextlib.closing(connection):
            connection.request("GET", target)
            return json.loads(connection.getresponse().read())


@dataclass(kw_only=True)
class Stage:
    """The servers, and the processes of the contestants by name."""

    directory: Path
    broker: RedisServer
    database: PostgresServer
    api: Api
    redis: redis.Redis
    processes: dict[str, Process] = field(default_factory=dict)

    def start_worker(self, queue: str) -> None:
        """Start a Celery worker with a prefork pool of two that serves one queue, unless it runs."""
        if queue in self.processes:
            return
        celery = ("-m", "celery", "--app", "example_project", "worker", "--pool", "prefork")
        options = ("--concurrency", str(POOL), "--queues", queue, "--hostname", f"{queue}@benchmark")
        # There is nobody to meet: a worker need not look for others.
        alone = ("--without-mingle", "--without-gossip", "--without-heartbeat")
        self.start(queue, *celery, *options, *alone, "--loglevel", "WARNING")

    def start(self, name: str, *command: str) -> Process:
        """Start a Python process under a name; what it says goes to a log of its own."""
        log = self.directory / f"{name}.log"
        process = spawn([sys.executable, *command], env=dict(os.environ), log=log, cwd=ROOT)
        self.processes[name] = process
        return process

    def tell(self, name: str, word: str, *, is_answered: bool = False, **values: object) -> None:
        """Send a word to a contestant that is no worker."""
        self.redis.rpush(f"to:{name}", json.dumps({"word": word, "is_answered": is_answered, **values}))

    def ask(self, name: str, word: str, **values: object) -> Any:
        """Send a word and wait until its work is done."""
        self.tell(name, word, is_answered=True, **values)
        return self.hear(name)

    def hear(self, name: str) -> Any:
        """Wait for a contestant's answer."""
        heard = self.redis.blpop([f"from:{name}"], timeout=PATIENCE_SECONDS)
        if heard is None:
            raise self.error(name, "did not answer")
        return json.loads(heard[1])

    def wait_for_records(self, count: int, name: str) -> None:
        """Wait until the API server has accepted so many records from a contestant."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not self.api.wait(count):
            if time.monotonic() > deadline or not self.processes[name].is_running:
                raise self.error(name, "did not send everything")

    def wait_until(self, is_so: Callable[[], bool], name: str) -> None:
        """Wait for what a contestant does to the tables; looks often, so begin when it is nearly done."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not is_so():
            if time.monotonic() > deadline or not self.processes[name].is_running:
                raise self.error(name, "did not finish")
            time.sleep(0.001)

    def clear(self) -> None:
        """End all contestants."""
        while self.processes:
            self.processes.popitem()[1].terminate(3.0)

    def error(self, name: str, what: str) -> BenchmarkError:
        """Return an error with the end of a process's log."""
        return BenchmarkError(f"{name} {what}; its log ends with:\n{self.processes[name].log_tail()}")


@contextlib.contextmanager
def set_stage() -> Iterator[Stage]:
    """Start the servers, name them in the environment, set Django up and make the tables."""
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(private_directory())
        broker = stack.enter_context(redis_server())
        database = stack.enter_context(postgres_server())
        api = _start_api(stack, directory)
        os.environ |= {
            "CELERY_BROKER_URL": broker.url,
            "DATABASE_URL": database.url,
            # Debug mode keeps every query in memory.
            "DJANGO_DEBUG": "0",
            "DJANGO_SETTINGS_MODULE": "benchmarks.project.settings",
            "TRACK360_BASE_URL": api.url,
            "TRACK360_BRAND_TOKEN": "benchmark-token",
            "TMPDIR": str(directory),
        }
        _set_django_up()
        client = redis.Redis.from_url(broker.client_url, socket_timeout=None)
        stack.callback(client.close)
        stage = Stage(directory=directory, broker=broker, database=database, api=api, redis=client)
        stack.callback(stage.clear)
        yield stage


def _start_api(stack: contextlib.ExitStack, directory: Path) -> Api:
    log = directory / "api.log"
    process = spawn([sys.executable, "-m", "benchmarks.api"], log=log, cwd=ROOT)
    stack.callback(process.terminate, 1.0)
    wait_until(lambda: log.read_text().endswith("\n"), process, "the API server")
    return Api(url=log.read_text().strip())


def _set_django_up() -> None:
    import django  # noqa: PLC0415  its settings read the environment that was made above
    from django.core.management import call_command  # noqa: PLC0415  the same

    django.setup()
    # Tables of apps without migrations are made first, and ours point at others: hence in two steps.
    for with_ours in (False, True):
        call_command("migrate", run_syncdb=with_ours, interactive=False, verbosity=0, skip_checks=True)
