"""
Freshness: milliseconds from the commit of a row to its arrival at the API, all healthy, workers warm, 50 rows a second.

Both contestants save the same kind of row in a transaction of its own, at the same uneven times; the commit is noted
by the first callback that runs after it. The clock is the machine's monotonic one, which all processes share.
"""

from __future__ import annotations

import random
import time
from typing import Final

from django.contrib.auth.models import User
from django.db import transaction

from benchmarks import rows
from benchmarks.figures import Aim, Result, compare, percentile
from benchmarks.options import Options
from benchmarks.project.models import DeclaredPayment, NaivePayment, Payment
from benchmarks.stage import Stage
from track360_django.models import Activity

RATE: Final = 50
SECONDS: Final = 6
MODELS: Final[dict[str, type[Payment]]] = {"one task per event": NaivePayment, "ours": DeclaredPayment}
WORKERS: Final = {"one task per event": "naive", "ours": "ours"}
PERCENTS: Final = (50, 95, 99)
MOST_RATIO: Final = 1.5
MOST_MS: Final = 1_000.0


def run(stage: Stage, options: Options) -> Result:
    """Measure both, round by round."""
    rows.make_customers()
    for worker in WORKERS.values():
        stage.start_worker(worker)
    for name in MODELS:
        _turn(stage, name, 25, 0)
    found: dict[int, dict[str, list[float]]] = {
        percent: {name: [] for name in MODELS} for percent in PERCENTS
    }
    count = options.scaled(RATE * SECONDS, 50)
    for number in range(options.rounds):
        names = list(MODELS)[:: 1 if number % 2 else -1]
        for name in names:
            delays = _turn(stage, name, count, number)
            for percent in PERCENTS:
                found[percent][name].append(percentile(delays, percent))
        last = ", ".join(f"{name} {values[-1]:.1f}" for name, values in found[50].items())
        options.say(f"freshness, round {number + 1}, median: {last} ms")
    comparisons = [
        compare(f"p{percent}", "ms", figures, [("ours", "one task per event")])
        for percent, figures in found.items()
    ]
    return Result(
        name="freshness",
        title="Freshness",
        comparisons=comparisons,
        aims=[
            Aim(
                name="p50, ours / one task per event",
                figure=comparisons[0].ratios["ours / one task per event"].median,
                at_most=MOST_RATIO,
            ),
            Aim(name="ms at p99, ours, worst round", figure=max(found[99]["ours"]), at_most=MOST_MS),
        ],
        facts={"rows": f"{RATE} a second, {count} a round"},
    )


def _turn(stage: Stage, name: str, count: int, seed: int) -> list[float]:
    """Save rows at uneven times; return the delay of each in milliseconds."""
    for model in (MODELS[name], Activity):
        rows.empty(model)
    user = User.objects.first()
    assert user is not None
    uneven = random.Random(seed)  # noqa: S311  the same times for both contestants
    stage.api.reset(is_noting_arrivals=True)
    commits: dict[str, float] = {}
    begun = time.monotonic() + 0.1
    for number in range(count):
        at = begun + (number + uneven.random()) / RATE
        time.sleep(max(0.0, at - time.monotonic()))
        _save(MODELS[name], user, commits)
    stage.wait_for_records(count, WORKERS[name])
    stage.wait_until(rows.is_settled, WORKERS[name])
    arrivals = stage.api.arrivals()
    return [(arrivals[reference] - at) * 1000 for reference, at in commits.items()]


def _save(model: type[Payment], user: User, commits: dict[str, float]) -> None:
    payment = model(user=user, amount=25)
    with transaction.atomic():
        # Callbacks run in order: this one before those that tell somebody.
        transaction.on_commit(lambda: commits.__setitem__(payment.reference, time.monotonic()))
        payment.save()
