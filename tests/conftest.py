"""Fixtures of the whole suite: the running servers, private ones to break, and processes of the host."""

from __future__ import annotations

import contextvars
import functools
import os
import sys
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest
from django.conf import settings
from django.db import connection
from django.db.models import Model

from example_project import servers
from tests.embedded import postgres_key, redis_key
from tests.forking import HOST, WarmProcess

SpawnHost = Callable[..., servers.Process]


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """
    Call each test in a context of its own.

    Django makes new context variables whenever CACHES change, and they live as long as the context that they are set in.
    Each step between threads and event loops looks at all of them: with those of 168 tests a request costs five times.
    """
    test = pyfuncitem.obj
    pyfuncitem.obj = functools.partial(contextvars.copy_context().run, test)
    try:
        return (yield)
    finally:
        pyfuncitem.obj = test


@pytest.fixture(scope="session")
def redis_server(pytestconfig: pytest.Config) -> servers.RedisServer:
    """Return the Redis server of this run, shared by all tests: leave it running."""
    server = pytestconfig.stash.get(redis_key, None)
    if server is None:
        pytest.skip("uses the embedded Redis server: run without CELERY_BROKER_URL")
    return server


@pytest.fixture(scope="session")
def postgres_server(pytestconfig: pytest.Config) -> servers.PostgresServer:
    """Return the Postgres server of this run, shared by all tests: it may be restarted, not stopped."""
    server = pytestconfig.stash.get(postgres_key, None)
    if server is None:
        pytest.skip(
            "uses the embedded Postgres server: run with --database=postgres and without DATABASE_URL"
        )
    return server


@pytest.fixture
def private_redis() -> Iterator[servers.RedisServer]:
    """Return a Redis server of this test's own, to pause, kill and restart."""
    with servers.redis_server() as server:
        yield server


@pytest.fixture
def private_tcp_redis() -> Iterator[servers.RedisServer]:
    """Return a Redis server of this test's own that listens on 127.0.0.1, for what only TCP can show."""
    with servers.redis_server(tcp=True) as server:
        yield server


@pytest.fixture
def private_postgres() -> Iterator[servers.PostgresServer]:
    """Return a Postgres server of this test's own, to stop, kill and restart, whatever the suite runs on."""
    with servers.postgres_server() as server:
        yield server


@pytest.fixture
def host_environment(transactional_db: None, pytestconfig: pytest.Config) -> dict[str, str]:
    """
    Return the environment of a process of the host: it sees this test's database and this run's broker, emptied.

    What the test writes must be committed to be seen, hence `transactional_db`.
    """
    if redis := pytestconfig.stash.get(redis_key, None):
        redis.command("FLUSHALL")
    return {
        **os.environ,
        "CELERY_BROKER_URL": settings.CELERY_BROKER_URL,
        "DATABASE_URL": url_of_test_database(),
        "DJANGO_SETTINGS_MODULE": "example_project.settings",
        "TRACK360_BASE_URL": str(settings.TRACK360["BASE_URL"]),
        "TRACK360_BRAND_TOKEN": str(settings.TRACK360["BRAND_TOKEN"]),
    }


@pytest.fixture(scope="session")
def warm_host() -> Iterator[WarmProcess]:
    """Return the process that all processes of the host are forked from: it has imported what they import of others."""
    with WarmProcess(HOST) as process:
        yield process


@pytest.fixture
def spawn_host(
    host_environment: dict[str, str], warm_host: WarmProcess, tmp_path: Path
) -> Iterator[SpawnHost]:
    """
    Return a function that starts a Python process of the host, ended after the test.

    It is forked from one that has imported Django and Celery, and reads the settings and our package itself. With
    `is_warm=False` it is a new Python, for what has to come before these imports.

    `spawn_host("-m", "celery", "-A", "example_project", "worker", name="worker", env={"TRACK360_BASE_URL": url})`;
    `env` is added to `host_environment`, the output goes to `<name>.log` in `tmp_path`.
    """
    processes: list[servers.Process] = []

    def spawn(
        *args: str, name: str = "host", env: dict[str, str] | None = None, is_warm: bool = True
    ) -> servers.Process:
        # What a process that is killed leaves behind is in the test's own directory.
        environment = {**host_environment, "TMPDIR": str(tmp_path), **(env or {})}
        log, folder = tmp_path / f"{name}.log", settings.BASE_DIR
        process = (
            warm_host.spawn(*args, environment=environment, log=log, folder=folder)
            if is_warm
            else servers.spawn([sys.executable, *args], env=environment, log=log, cwd=folder)
        )
        processes.append(process)
        return process

    yield spawn
    servers.terminate_all(processes)


def url_of_test_database() -> str:
    """Return the address of the test database, as `DATABASE_URL` wants it."""
    values = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{quote(str(values['NAME']))}"
    login = quote(values["USER"]) + (f":{quote(values['PASSWORD'])}" if values["PASSWORD"] else "")
    port = f":{values['PORT']}" if values["PORT"] else ""
    scheme, host = ("mysql", "unix_socket") if connection.vendor == "mysql" else ("postgresql", "host")
    query = urlencode({host: values["HOST"], **values["OPTIONS"]})
    return f"{scheme}://{login}@{port}/{quote(values['NAME'])}?{query}"


@pytest.fixture
def declare() -> Iterator[Callable[..., None]]:
    """Return a function that declares something, of the tests' own payments if no model is given, for one test."""
    from tests.ledger.models import Payment
    from track360_django import activities

    declared: list[tuple[type[Model], type[activities.ModelActivity]]] = []

    def register(kind: type[activities.ModelActivity], model: type[Model] = Payment) -> None:
        activities.register(model)(kind)
        declared.append((model, kind))

    yield register
    for model, kind in declared:
        activities.unregister(model, kind)
