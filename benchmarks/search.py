"""
Due-work search: what a drain asks the database when there is nothing to do, or one record, beside many others.

Two databases on one server, one without other rows and one with a million of held, dead and delivered ones, take
turns drain by drain. Only the time in the database counts, so the record's request is not in it.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any, Final

from django.core.management import call_command
from django.db import connection, connections

from benchmarks import rows
from benchmarks.figures import Aim, Comparison, Result, compare
from benchmarks.options import Options
from benchmarks.stage import Stage
from track360_django import delivery
from track360_django.models import Activity, Customer

CROWD: Final = 1_000_000
CROWDED: Final = "crowded"
DATABASES: Final = {"alone": "default", "crowded": CROWDED}
DRAINS: Final = 100
MOST: Final = 2.0
# What the others look like, each a third.
OTHERS: Final = (
    {"status": "'held'", "due_at": "NULL", "reason": "'customer_not_accepted'"},
    {"status": "'dead'", "due_at": "NULL", "reason": "'http_400'", "attempts": "1"},
    {
        "status": "'delivered'",
        "due_at": "NULL",
        "delivered_at": "now()",
        "attempts": "1",
        "accepted_version": "1",
    },
)


def run(stage: Stage, options: Options) -> Result:
    """Measure drains with nothing due and with one record due."""
    rows.make_customers()
    crowd = options.scaled(CROWD, 3_000)
    options.say(f"search: filling {crowd:,} other rows")
    _crowd(crowd)
    stage.api.reset()
    comparisons = [_measure(options, "nothing due", 0), _measure(options, "one record due", 1)]
    return Result(
        name="search",
        title="Finding due work",
        comparisons=comparisons,
        aims=[
            Aim(
                name=f"{each.condition}, beside {crowd:,} other rows / alone",
                figure=each.ratios["crowded / alone"].median,
                at_most=MOST,
            )
            for each in comparisons
        ],
        facts={
            "other rows": f"{crowd:,} held, dead and delivered",
            "figures": "milliseconds in the database",
        },
    )


def _crowd(count: int) -> None:
    """Make the crowded database, with the same customers."""
    if CROWDED in stage_databases():
        return
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {CROWDED}")
    for with_ours in (False, True):
        call_command(
            "migrate",
            database=CROWDED,
            run_syncdb=with_ours,
            interactive=False,
            verbosity=0,
            skip_checks=True,
        )
    Customer.objects.using(CROWDED).bulk_create(Customer.objects.all())
    rows.copy_seeds(CROWDED)
    for number, columns in enumerate(OTHERS):
        rows.fill_activities(count // 3, using=CROWDED, mark=f"other{number}", columns=columns)
    with connections[CROWDED].cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")


def stage_databases() -> set[str]:
    """Return the names of the server's databases."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT datname FROM pg_database")
        return {row[0] for row in cursor.fetchall()}


def _measure(options: Options, condition: str, due: int) -> Comparison:
    rows.empty(Activity)
    times: dict[str, list[float]] = {name: [] for name in DATABASES}
    drains = options.scaled(DRAINS, 5)
    for number in range(options.rounds):
        medians = _round(drains, due, f"{due}-{number}")
        for name, median in medians.items():
            times[name].append(median)
        last = ", ".join(f"{name} {values[-1]:.3f}" for name, values in times.items())
        options.say(f"search, {condition}, round {number + 1}: {last} ms")
    return compare(condition, "ms/drain", times, [("crowded", "alone")])


def _round(drains: int, due: int, mark: str) -> dict[str, float]:
    times: dict[str, list[float]] = {name: [] for name in DATABASES}
    for number in range(drains):
        for name, alias in DATABASES.items():
            if due:
                rows.fill_activities(due, using=alias, mark=f"{mark}-{number}")
            times[name].append(_drain(alias, due))
    return {name: statistics.median(values) for name, values in times.items()}


def _drain(alias: str, due: int) -> float:
    """Drain one database and return the milliseconds that it took to answer."""
    clock = _QueryClock()
    with connections[alias].execute_wrapper(clock):
        report = delivery.drain(using=alias)
    if report.delivered != due:
        message = f"{report.delivered} records were delivered where {due} were due"
        raise RuntimeError(message)
    return clock.seconds * 1000


class _QueryClock:
    """Adds up the time of queries."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self, execute: Callable[..., Any], *args: Any) -> Any:
        begun = time.perf_counter()
        try:
            return execute(*args)
        finally:
            self.seconds += time.perf_counter() - begun
