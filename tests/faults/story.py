"""
One story: a stage, producers, workers, chaos by plan, then healing, draining and the verdict.

It configures Django for its own stage, so it runs in a process of its own: `python -m tests.faults --seed 1`.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from example_project.processes import terminate_all
from tests.faults import api, behaviours, chaos
from tests.faults.stage import SETTINGS, Stage, stage
from tests.faults.truth import MARKER

SECONDS: Final = 12.0
PRODUCERS: Final = 3
WORKERS: Final = ("w1", "w2")
TICK_SECONDS: Final = 0.1
CRON_RUNS: Final = 5
# How often a second of the story stands for the hours that schedule and pauses want.
PASS_SECONDS: Final = 0.5


@dataclass(kw_only=True)
class Result:
    """What a story came to, as plain data."""

    seed: int
    database: str
    counts: dict[str, int]
    violations: list[str]
    plan: list[str]
    figures: dict[str, int] = field(default_factory=dict)

    @property
    def is_clean(self) -> bool:
        """Tell whether all invariants held."""
        return not self.violations

    def as_json(self) -> str:
        """Return it as one line."""
        return json.dumps(asdict(self))


def tell(seed: int, database: str, seconds: float = SECONDS, keep: Path | None = None) -> Result:
    """Play the story of a seed once, in this process, and return the verdict."""
    with stage(database) as place:
        os.environ.update(place.environment)
        _set_up(place)
        operator, acts = _play(place, seed, database, seconds)
        result = _judge(place, operator, seed, database, acts)
        if keep is not None:
            _keep(place, keep)
    return result


def _set_up(place: Stage) -> None:
    """Configure Django for this stage, with a log of our own at DEBUG, and make the tables."""
    import django

    os.environ["DJANGO_SETTINGS_MODULE"] = SETTINGS
    django.setup()
    logging.basicConfig(filename=place.directory / "operator.log", level=logging.DEBUG, force=True)
    from tests.faults import operate

    operate.migrate()


def _play(
    place: Stage, seed: int, database: str, seconds: float
) -> tuple[chaos.Operator, tuple[chaos.Act, ...]]:
    """Start everybody, and carry out the plan."""
    from tests.faults import operate

    for name in (*WORKERS, "beat"):
        place.start_worker(name)
    place.wait_for_workers()
    begun = time.monotonic()
    operator = chaos.Operator(place, seed, begun + seconds)
    for _ in range(PRODUCERS):
        place.start_producer(seed, seconds)
    acts = chaos.plan(seed, seconds, database)
    ahead = list(acts)
    passed = begun
    while (now := time.monotonic()) < begun + seconds:
        while ahead and ahead[0].at <= now - begun:
            operator.perform(ahead.pop(0))
        operator.tick()
        if now - passed >= PASS_SECONDS:
            passed = now
            operate.let_time_pass()
        time.sleep(TICK_SECONDS)
    _deliver_in_trouble(operator, seed, seconds)
    operator.heal()
    for producer in place.producers.values():
        producer.wait(60)
    return operator, acts


def _deliver_in_trouble(operator: chaos.Operator, seed: int, seconds: float) -> None:
    """Deliver from cron while the API does anything: on a busy machine workers may have done little so far."""
    from tests.faults import operate

    operator.perform(chaos.Act(at=seconds, name="api does anything", lot=seed))
    for _ in range(CRON_RUNS):
        operate.let_time_pass()
        with operate.fresh_connection():
            operate.run("deliver")


def _judge(
    place: Stage, operator: chaos.Operator, seed: int, database: str, acts: tuple[chaos.Act, ...]
) -> Result:
    """End the workers, drain as an operator would, and compare."""
    from tests.faults import invariants, operate, truth

    terminate_all(list(place.workers.values()), 30)
    looks = [*operate.look()]
    operate.expire_leases()
    undriven = operate.drain()
    looks += operate.look()
    with operate.fresh_connection():
        committed = truth.read(place.journals, operate.host())
    exchanges = place.api.exchanges
    history = invariants.History(
        truth=committed,
        exchanges=exchanges,
        rows=operate.rows(),
        disturbances=operator.disturbances,
        texts={**place.texts(), "error columns": operate.error_columns()},
        secrets=(api.TOKEN, MARKER),
        trapped=place.trap.connections,
        looks=looks,
        undriven=undriven,
    )
    verdict = invariants.check(history)
    return Result(
        seed=seed,
        database=database,
        counts=verdict.counts(),
        violations=list(verdict.lines()),
        plan=[str(act) for act in acts],
        figures=_figures(history),
    )


def _figures(history: Any) -> dict[str, int]:
    """Return how much the story was about: a run in which nothing happens proves nothing."""
    faults = Counter(each.fault.name for each in history.exchanges)
    well = faults[behaviours.OBEY.name] + faults[behaviours.LATE.name]
    return {
        "customers": len(history.truth.customers),
        "activities": len(history.truth.activities),
        "rolled back": history.truth.rolled_back,
        "unannounced": len(history.truth.unannounced),
        "requests": len(history.exchanges),
        "requests that met a fault": faults.total() - well,
        "disturbances": len(history.disturbances),
    }


def _keep(place: Stage, folder: Path) -> None:
    """Keep all that was written, and what the API received."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in (*place.directory.glob("*.log"), *place.journals):
        (folder / path.name).write_bytes(path.read_bytes())
    with (folder / "api.txt").open("w") as file:
        for each in place.api.exchanges:
            keys = [record.key for record in each.records]
            file.write(
                f"{each.number} {each.received_at:.3f} {each.answered_at} {each.endpoint} {each.fault.name} {keys}\n"
            )
