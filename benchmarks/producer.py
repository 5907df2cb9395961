"""
Producer cost: how many milliseconds reporting adds to saving a row, with broker and workers alive and idle.

The same kind of row is saved three times: reported by nobody, by `on_commit(task.delay)`, and by a declared model
whose customer is known. The three take turns with every single row, and each waits until the last row's worker is
idle again, so that nobody's worker slows down somebody else's save.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Final

from django.contrib.auth.models import User
from django.db import transaction

from benchmarks import rows
from benchmarks.figures import Aim, Comparison, Result, compare
from benchmarks.options import Options
from benchmarks.project.models import DeclaredPayment, NaivePayment, Payment, PlainPayment
from benchmarks.stage import Stage
from track360_django.models import Activity

MODELS: Final[dict[str, type[Payment]]] = {
    "plain": PlainPayment,
    "on_commit(delay)": NaivePayment,
    "ours": DeclaredPayment,
}
# Who works off what each of them reports.
WORKERS: Final = {"on_commit(delay)": "naive", "ours": "ours"}
PAUSE_SECONDS: Final = 0.01
MOST: Final = 0.4


def run(stage: Stage, options: Options) -> Result:
    """Measure one row in autocommit, one in a transaction, and a hundred in one."""
    rows.make_customers()
    for worker in WORKERS.values():
        stage.start_worker(worker)
    user = User.objects.first()
    assert user is not None
    ways: dict[str, tuple[Callable[[type[Payment]], None], int, int]] = {
        "one row, autocommit": (lambda model: _save(model, user), 1, 60),
        "one row in a transaction": (lambda model: _save_within(model, user, 1), 1, 60),
        "100 rows in a transaction": (lambda model: _save_within(model, user, 100), 100, 5),
    }
    for way, size, _ in ways.values():
        _round(stage, way, size, 3)
    comparisons = [
        _measure(stage, options, condition, way, size, repetitions)
        for condition, (way, size, repetitions) in ways.items()
    ]
    return Result(
        name="producer",
        title="Producer cost of a saved row",
        comparisons=comparisons,
        aims=[
            Aim(
                name=f"added to {each.condition}, ours / on_commit(delay)",
                figure=each.ratios["ours / on_commit(delay)"].median,
                at_most=MOST,
            )
            for each in comparisons
        ],
        facts={"figures": "milliseconds a row; ours and on_commit(delay) are what they add to the plain row"},
    )


def _measure(
    stage: Stage,
    options: Options,
    condition: str,
    way: Callable[[type[Payment]], None],
    size: int,
    repetitions: int,
) -> Comparison:
    added: dict[str, list[float]] = {name: [] for name in MODELS}
    for number in range(options.rounds):
        for model in (*MODELS.values(), Activity):
            rows.empty(model)
        medians = _round(stage, way, size, options.scaled(repetitions, 3))
        for name, median in medians.items():
            added[name].append(median - (medians["plain"] if name != "plain" else 0))
        last = ", ".join(f"{name} {values[-1]:.3f}" for name, values in added.items())
        options.say(f"producer, {condition}, round {number + 1}: {last} ms a row")
    return compare(condition, "ms/row", added, [("ours", "on_commit(delay)")])


def _round(
    stage: Stage, way: Callable[[type[Payment]], None], size: int, repetitions: int
) -> dict[str, float]:
    """Return the median milliseconds a row of each contestant."""
    times: dict[str, list[float]] = {name: [] for name in MODELS}
    for number in range(repetitions):
        names = list(MODELS)
        first = number % len(names)
        for name in (*names[first:], *names[:first]):
            stage.api.reset()
            begun = time.perf_counter()
            way(MODELS[name])
            times[name].append((time.perf_counter() - begun) * 1000 / size)
            if name in WORKERS:
                stage.wait_for_records(size, WORKERS[name])
                stage.wait_until(rows.is_settled, WORKERS[name])
            # The worker waits for its queue again.
            time.sleep(PAUSE_SECONDS)
    return {name: statistics.median(values) for name, values in times.items()}


def _save(model: type[Payment], user: User) -> None:
    model.objects.create(user=user, amount=25)


def _save_within(model: type[Payment], user: User, count: int) -> None:
    with transaction.atomic():
        for _ in range(count):
            _save(model, user)
