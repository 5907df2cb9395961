"""
Pytest plugin that starts the servers before Django reads its settings.

It loads with `-p tests.embedded` (pyproject.toml does so): a conftest.py comes too late, pytest-django has already set
Django up by then. Servers that the environment names (`CELERY_BROKER_URL`, `DATABASE_URL`) are used as they are.
"""

from __future__ import annotations

import contextlib
import os
from typing import Final

import pytest

from example_project import servers
from tests.mariadb import mariadb_server
from tests.pgbouncer import pgbouncer

DATABASES: Final = ("sqlite", "postgres", "mariadb", "pgbouncer")

redis_key: Final = pytest.StashKey[servers.RedisServer]()
postgres_key: Final = pytest.StashKey[servers.PostgresServer]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--database`, and what says how many stories of faults are told."""
    parser.addoption(
        "--database",
        choices=DATABASES,
        default=os.environ.get("TRACK360_TEST_DATABASE") or "sqlite",
        help="Where the suite runs: sqlite (default, or TRACK360_TEST_DATABASE), an embedded postgres, or mariadb or "
        "pgbouncer (in front of the embedded postgres), which .ci/databases fetches.",
    )
    parser.addoption(
        "--once",
        action="store_true",
        help="Leave out what knows no database: another run of the same suite tries it, on another database.",
    )
    parser.addoption(
        "--fault-seeds", type=int, default=0, metavar="N", help="tests/faults: tell the stories of N seeds."
    )
    parser.addoption(
        "--fault-seed", type=int, default=None, metavar="SEED", help="tests/faults: the first, or only, seed."
    )


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Start what is not given and name it in the environment; all of it ends with pytest."""
    options = early_config.known_args_namespace
    if options.version or options.help:
        return
    stack = contextlib.ExitStack()
    early_config.add_cleanup(stack.close)
    if not os.environ.get("CELERY_BROKER_URL"):
        redis = early_config.stash[redis_key] = stack.enter_context(servers.redis_server())
        set_environment(stack, "CELERY_BROKER_URL", redis.url)
    if not os.environ.get("DATABASE_URL"):
        set_environment(stack, "DATABASE_URL", start_database(early_config, stack, options.database))


def start_database(config: pytest.Config, stack: contextlib.ExitStack, database: str) -> str:
    """Return the address of a database of our own."""
    if database == "sqlite":
        return f"sqlite:///{stack.enter_context(servers.private_directory())}/host.sqlite3"
    if database == "mariadb":
        return stack.enter_context(mariadb_server()).url
    postgres = config.stash[postgres_key] = stack.enter_context(servers.postgres_server())
    return stack.enter_context(pgbouncer(postgres)).url if database == "pgbouncer" else postgres.url


def set_environment(stack: contextlib.ExitStack, name: str, value: str) -> None:
    """Set a variable until the stack is closed."""
    os.environ[name] = value
    stack.callback(os.environ.pop, name, None)


def pytest_report_header() -> list[str]:
    """Say which servers the suite uses."""
    return [f"servers: {os.environ.get('DATABASE_URL', '')}  {os.environ.get('CELERY_BROKER_URL', '')}"]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip what can't be shown in this run, and say why."""
    is_second = config.getoption("once")
    scheme = os.environ["DATABASE_URL"].partition(":")[0]
    is_traced = "COVERAGE_RUN" in os.environ
    for item in items:
        if item.get_closest_marker("postgres") and not scheme.startswith("postgres"):
            item.add_marker(pytest.mark.skip(reason="needs Postgres: run with --database=postgres"))
        if item.get_closest_marker("mysql") and scheme != "mysql":
            item.add_marker(pytest.mark.skip(reason="needs MariaDB or MySQL: run .ci/databases mariadb"))
        if item.get_closest_marker("rowlocks") and scheme == "sqlite":
            item.add_marker(pytest.mark.skip(reason="needs locks on rows: run with --database=postgres"))
        if item.get_closest_marker("standalone") and scheme != "sqlite":
            item.add_marker(pytest.mark.skip(reason="the same on every database: runs with SQLite"))
        if item.get_closest_marker("budget") and is_traced:
            item.add_marker(pytest.mark.skip(reason="measures time, which coverage falsifies"))
        if is_second and not knows_database(item):
            item.add_marker(pytest.mark.skip(reason="knows no database: runs on the first one"))


# What a test asks for when the database it runs on may matter to it.
_OF_DATABASE: Final = frozenset(("db", "transactional_db", "django_db_setup", "postgres_server"))


def knows_database(item: pytest.Item) -> bool:
    """Return whether a test can see which database it runs on."""
    marks = ("django_db", "postgres", "mysql", "rowlocks")
    return any(item.get_closest_marker(mark) for mark in marks) or not _OF_DATABASE.isdisjoint(
        getattr(item, "fixturenames", ())
    )
