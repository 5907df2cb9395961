"""
Drain throughput: how many due records a second leave, and are marked, at three latencies of the API.

All contestants are there from the beginning, warm and idle; in each round each has its turn, and the first turn goes
round. A turn lasts from the word "go" until the API server has counted every record and every row is marked.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from benchmarks import capacity, rows
from benchmarks.figures import Aim, Comparison, Result, compare
from benchmarks.options import Options
from benchmarks.project.models import NaivePayment, RawRecord
from benchmarks.project.tasks import report_kept_alive, report_naively
from benchmarks.stage import CALM_SECONDS, Stage
from track360_django.models import Activity, Status
from track360_django.outbox import wakeup

LATENCIES_MS: Final = (0, 20, 100)
# Of many hints that a host's commits would cause, so many are enough for a pool of two.
HINTS: Final = 2
# Records for each latency: enough for some seconds, so that a beginning is small.
COUNTS: Final = {
    "naive": (1_000, 500, 150),
    "keep-alive": (1_500, 600, 150),
    "raw": (120_000, 20_000, 10_000),
    "bare": (120_000, 20_000, 10_000),
    "segment": (10_000, 6_000, 2_000),
    "segment-filled": (10_000, 6_000, 2_000),
    "ours": (120_000, 60_000, 40_000),
}
AIMS: Final = {
    ("naive", 0): 300.0,
    ("naive", 20): 400.0,
    ("naive", 100): 400.0,
    ("raw", 0): 1.0,
    ("segment", 0): 4.0,
    ("segment", 20): 4.0,
    ("segment", 100): 4.0,
}


class Contestant(Protocol):
    """One way to get records out."""

    name: str

    def start(self, stage: Stage) -> None:
        """Start its process."""
        ...

    def fill(self, stage: Stage, count: int) -> None:
        """Make so many records due, and let it not begin."""
        ...

    def go(self, stage: Stage) -> None:
        """Let it begin."""
        ...

    def is_marked(self) -> bool:
        """Tell whether no row is left."""
        ...


@dataclass
class Naive:
    """A task for each row; the messages lie in another queue, and change its name on the word."""

    name: str

    def start(self, stage: Stage) -> None:
        """Start its worker."""
        stage.start_worker(self.name)

    def fill(self, stage: Stage, count: int) -> None:
        """Write rows, and a message for each."""
        rows.empty(NaivePayment)
        task = report_naively if self.name == "naive" else report_kept_alive
        for pk in rows.fill_naive(count):
            task.apply_async((pk,), queue=f"{self.name}-soon")

    def go(self, stage: Stage) -> None:
        """Give the queue the name that the worker reads."""
        stage.redis.rename(f"{self.name}-soon", self.name)

    def is_marked(self) -> bool:
        """Tell whether each payment was sent."""
        return not NaivePayment.objects.filter(sent_at=None).exists()


@dataclass
class Loop:
    """A process of `benchmarks.loops`."""

    name: str

    def start(self, stage: Stage) -> None:
        """Start it and wait until it waits."""
        stage.start(self.name, "-m", "benchmarks.loops", self.name)
        stage.hear(self.name)

    def fill(self, stage: Stage, count: int) -> None:
        """Write rows, or have the client's queue filled."""
        if self.name in {"raw", "bare"}:
            rows.empty(RawRecord)
            rows.fill_raw(count)
        else:
            stage.ask(self.name, "fill", count=count)

    def go(self, stage: Stage) -> None:
        """Say the word."""
        stage.tell(self.name, "go")

    def is_marked(self) -> bool:
        """Tell whether each row is marked; what is in memory has no mark."""
        return self.name not in {"raw", "bare"} or not RawRecord.objects.filter(is_sent=False).exists()


@dataclass
class Ours:
    """The package: its own task in a worker, woken as the host's commits wake it."""

    name: str = "ours"

    def start(self, stage: Stage) -> None:
        """Start its worker."""
        stage.start_worker(self.name)

    def fill(self, stage: Stage, count: int) -> None:
        """Write activities of customers that Track360 has."""
        rows.empty(Activity)
        rows.fill_activities(count)

    def go(self, stage: Stage) -> None:
        """Publish the hints."""
        for _ in range(HINTS):
            if not wakeup.wake():
                raise stage.error(self.name, "was not woken")

    def is_marked(self) -> bool:
        """Tell whether nothing is due any more."""
        return not Activity.objects.exclude(due_at=None).exists()


def contestants() -> tuple[Contestant, ...]:
    """Return who takes part."""
    loops = [Loop(name) for name in ("raw", "bare", "segment", "segment-filled")]
    return Naive("naive"), Naive("keep-alive"), *loops, Ours()


def run(stage: Stage, options: Options) -> Result:
    """Measure all contestants at all latencies."""
    rows.make_customers()
    everybody = contestants()
    for contestant in everybody:
        contestant.start(stage)
    for contestant in everybody:
        for _ in range(2):
            turn(stage, contestant, 0, 100 if contestant.name != "ours" else 4_000)
    comparisons = [at_latency(stage, options, everybody, place) for place in range(len(LATENCIES_MS))]
    return Result(
        name="drain",
        title="Drain throughput",
        comparisons=comparisons,
        facts=capacity.measure(stage.api),
        aims=[aim for place, each in enumerate(comparisons) for aim in aims_of(LATENCIES_MS[place], each)],
    )


def at_latency(stage: Stage, options: Options, everybody: Sequence[Contestant], place: int) -> Comparison:
    """Measure all contestants, round by round, at one latency."""
    latency = LATENCIES_MS[place]
    speeds: dict[str, list[float]] = {contestant.name: [] for contestant in everybody}
    for number in range(options.rounds):
        first = number % len(everybody)
        for contestant in (*everybody[first:], *everybody[:first]):
            count = max(100, round(COUNTS[contestant.name][place] * options.scale / 100) * 100)
            speeds[contestant.name].append(turn(stage, contestant, latency, count))
        options.say(f"drain at {latency} ms, round {number + 1}: " + _last(speeds))
    ratios = [("ours", name) for name in speeds if name != "ours"]
    return compare(f"API latency {latency} ms", "records/s", speeds, ratios)


def turn(stage: Stage, contestant: Contestant, latency_ms: float, count: int) -> float:
    """Let one contestant work off so many records; return how many it did a second."""
    stage.api.reset(latency_ms=latency_ms)
    contestant.fill(stage, count)
    time.sleep(CALM_SECONDS)
    begun = time.monotonic()
    contestant.go(stage)
    stage.wait_for_records(count, contestant.name)
    stage.wait_until(contestant.is_marked, contestant.name)
    seconds = time.monotonic() - begun
    if contestant.name == "ours" and Activity.objects.exclude(status=Status.DELIVERED).exists():
        raise stage.error(contestant.name, "did not deliver everything")
    return count / seconds


def aims_of(latency: int, comparison: Comparison) -> list[Aim]:
    """Return what was aimed at for one latency."""
    return [
        Aim(
            name=f"drain at {latency} ms, ours / {name}",
            figure=comparison.ratios[f"ours / {name}"].median,
            at_least=least,
        )
        for (name, at), least in AIMS.items()
        if at == latency
    ]


def _last(speeds: dict[str, list[float]]) -> str:
    return ", ".join(f"{name} {values[-1]:,.0f}/s" for name, values in speeds.items())
