"""
Pytest plugin: the processes of one run divide its tests; each takes the next module when it is free.

`manage.py test` starts them with `--suite-folder`. Each process collects all tests, in the same random order, and has
servers and a database of its own. What happened to each test goes into a file in that folder, line by line, so that
nothing is lost when a process dies.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import time
from collections.abc import Generator, Iterator, Sequence
from itertools import groupby, takewhile
from pathlib import Path
from typing import Any, Final

import pytest

from tests.suite.durations import Durations

COUNTER: Final = "next"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add what `manage.py test` says to each process of a run."""
    group = parser.getgroup("suite", "one process of several")
    group.addoption("--suite-folder", type=Path, help="where the processes of this run meet")
    group.addoption("--suite-process", default="", help="what this process is called there")


def pytest_configure(config: pytest.Config) -> None:
    """Take part in a run, if this is a process of one."""
    if config.option.suite_folder is not None and not config.option.collectonly:
        config.pluginmanager.register(Division(config), "tests.suite.division.run")


class Division:
    """One process's part in a run."""

    def __init__(self, config: pytest.Config) -> None:
        folder: Path = config.option.suite_folder
        self._counter = folder / COUNTER
        self._events = (folder / f"{config.option.suite_process}.jsonl").open("a")
        self._reports: list[pytest.TestReport] = []
        config.add_cleanup(self._events.close)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Run the modules that no other process has taken."""
        if session.testsfailed:
            message = f"{session.testsfailed} errors during collection"
            raise session.Interrupted(message)
        units = divide(session.items, Durations.read(session.config.getoption("database")))
        ids = [item.nodeid for unit in units for item in unit]
        self._note(kind="collected", tests=len(ids), digest=digest_of(ids))
        taken = takewhile(lambda number: number < len(units), self._claims())
        items = (item for number in taken for item in units[number])
        following: Any = _Following(items)
        while (item := following.take()) is not None:
            following = _Following(items)
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if session.shouldfail:
                raise session.Failed(session.shouldfail)
            if session.shouldstop:
                raise session.Interrupted(session.shouldstop)
        return True

    def _claims(self) -> Iterator[int]:
        """Yield numbers that no other process of the run gets; the caller knows where they end."""
        while True:
            with self._counter.open("r+") as counter:
                fcntl.flock(counter, fcntl.LOCK_EX)
                number = int(counter.read() or 0)
                counter.seek(0)
                counter.write(str(number + 1))
            yield number

    @pytest.hookimpl(tryfirst=True, wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        """Note that a test begins, and what became of it."""
        self._reports = []
        self._note(kind="begun", id=item.nodeid)
        began, cpu = time.monotonic(), _cpu_seconds()
        result = yield
        # Not where it was interrupted: such a test did not end.
        self._note(
            kind="ended",
            id=item.nodeid,
            seconds=round(time.monotonic() - began, 3),
            cpu=round(_cpu_seconds() - cpu, 3),
            **_outcome_of(self._reports),
        )
        return result

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep what setup, call and teardown say, until the test has ended."""
        self._reports.append(report)

    def _note(self, **event: Any) -> None:
        self._events.write(json.dumps(event) + "\n")
        self._events.flush()


class _Following:
    """
    The test after the one that runs, in the place of the item that pytest expects.

    pytest asks for its collectors when the running test is torn down, to keep the fixtures that both need. Only then is
    it taken: while a long test runs, the next module is free for another process.
    """

    def __init__(self, items: Iterator[pytest.Item]) -> None:
        self._items = items
        self._taken: list[pytest.Item | None] = []

    def take(self) -> pytest.Item | None:
        """Return the test; None where all are taken."""
        if not self._taken:
            self._taken.append(next(self._items, None))
        return self._taken[0]

    def listchain(self) -> list[Any]:
        """Return the collectors of the test, as `pytest.Item.listchain` does."""
        item = self.take()
        return [] if item is None else item.listchain()


def _cpu_seconds() -> float:
    """Return the processor time of this process and of the children that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _outcome_of(reports: Sequence[pytest.TestReport]) -> dict[str, str]:
    """Return how a test ended, and why if it did not pass."""
    failed = [report for report in reports if report.failed]
    if failed:
        text = "\n".join(
            [report.longreprtext for report in failed] + [_captured(report) for report in failed]
        )
        return {"outcome": "failed", "text": text}
    skipped = next((report for report in reports if report.skipped), None)
    if skipped is not None:
        reason = skipped.longrepr[2] if isinstance(skipped.longrepr, tuple) else skipped.longreprtext
        return {"outcome": "skipped", "text": reason.removeprefix("Skipped: ")}
    return {"outcome": "passed" if reports else "failed", "text": "" if reports else "it never began"}


def _captured(report: pytest.TestReport) -> str:
    return "\n".join(f"--- {title}\n{text}" for title, text in report.sections)


def digest_of(ids: Sequence[str]) -> str:
    """Return what two processes have in common when they collected the same tests in the same order."""
    return hashlib.sha256("\n".join(ids).encode(errors="surrogatepass")).hexdigest()


def divide(items: Sequence[pytest.Item], durations: Durations) -> list[list[pytest.Item]]:
    """
    Return the tests in units that belong together, in the order in which they are taken.

    A unit is what stands in one module and needs the same kind of database. pytest-django's order of kinds stays: tests
    in transactions, then those that empty the tables, then those without a database. Within a kind the modules that
    take longest come first, so that no process waits for a long one at the end; the others stay in random order.
    """
    kinds: dict[int, list[list[pytest.Item]]] = {}
    for (kind, _), unit in groupby(items, key=lambda item: (_kind_of(item), item.path)):
        kinds.setdefault(kind, []).append(list(unit))
    return [
        unit
        for kind in kinds
        for unit in sorted(kinds[kind], key=lambda unit: -durations.long_seconds_of(unit[0].nodeid))
    ]


def _kind_of(item: pytest.Item) -> int:
    fixtures = getattr(item, "fixturenames", ())
    if "transactional_db" in fixtures or "django_db_serialized_rollback" in fixtures:
        return 1
    return 0 if "db" in fixtures or item.get_closest_marker("django_db") else 2
