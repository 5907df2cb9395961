"""
Producer cost: how many milliseconds reporting adds to saving a row, with broker and workers alive and idle.

The same kind of row is saved three times: reported by nobody, by `on_commit(task.delay)`, and by a declared model
whose customer is known. The three take turns with every single row, and each waits until the last row's worker is
idle again, so that nobody's worker slows down somebody else's save.
"""

from __future__ import annotations

import contextlib
import statistics
import time
from dataclasses import dataclass
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
WARM: Final = 3
MOST: Final = 0.4


@dataclass(frozen=True, kw_only=True)
class Way:
    """One way to save: how many rows at once, in a transaction or not, and how often in a round."""

    condition: str
    rows: int
    is_atomic: bool
    repetitions: int

    def save(self, model: type[Payment], user: User) -> None:
        """Save as many rows of a model, one directly after the other."""
        with transaction.atomic() if self.is_atomic else contextlib.nullcontext():
            for _ in range(self.rows):
                model.objects.create(user=user, amount=25)


WAYS: Final = (
    Way(condition="one row, autocommit", rows=1, is_atomic=False, repetitions=60),
    Way(condition="one row in a transaction", rows=1, is_atomic=True, repetitions=60),
    Way(condition="100 rows in a transaction", rows=100, is_atomic=True, repetitions=5),
    Way(condition="200 rows one after the other, autocommit", rows=200, is_atomic=False, repetitions=5),
)


def run(stage: Stage, options: Options) -> Result:
    """Measure one row in autocommit, one in a transaction, and a hundred in one."""
    rows.make_customers()
    for worker in WORKERS.values():
        stage.start_worker(worker)
    for way in WAYS:
        _round(stage, way, WARM if way.rows == 1 else 1)
    comparisons = [_measure(stage, options, way) for way in WAYS]
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


def _measure(stage: Stage, options: Options, way: Way) -> Comparison:
    added: dict[str, list[float]] = {name: [] for name in MODELS}
    for number in range(options.rounds):
        for model in MODELS.values():
            rows.empty(model)
        rows.empty(Activity)
        medians = _round(stage, way, options.scaled(way.repetitions))
        for name, median in medians.items():
            added[name].append(median - (medians["plain"] if name != "plain" else 0))
        last = ", ".join(f"{name} {values[-1]:.3f}" for name, values in added.items())
        options.say(f"producer, {way.condition}, round {number + 1}: {last} ms a row")
    return compare(way.condition, "ms/row", added, [("ours", "on_commit(delay)")])


def _round(stage: Stage, way: Way, repetitions: int) -> dict[str, float]:
    """Return the median milliseconds a row of each contestant."""
    user = User.objects.earliest("pk")
    times: dict[str, list[float]] = {name: [] for name in MODELS}
    for number in range(repetitions):
        names = list(MODELS)
        first = number % len(names)
        for name in (*names[first:], *names[:first]):
            stage.api.reset()
            begun = time.perf_counter()
            way.save(MODELS[name], user)
            times[name].append((time.perf_counter() - begun) * 1000 / way.rows)
            if name in WORKERS:
                stage.wait_for_records(way.rows, WORKERS[name])
                stage.wait_until(rows.is_settled, WORKERS[name])
            # The worker waits for its queue again.
            time.sleep(PAUSE_SECONDS)
    return {name: statistics.median(values) for name, values in times.items()}
