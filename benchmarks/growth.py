"""
Growth: what a record costs, and how much memory its worker needs, when ten thousand, a hundred thousand or a million
are due. A fresh process drains each; it has drained a thousand before the clock starts.
"""

from __future__ import annotations

import time
from typing import Final

from benchmarks import rows
from benchmarks.figures import Aim, Result, compare, ratio
from benchmarks.options import Options
from benchmarks.stage import Stage
from track360_django.models import Activity, Status

COUNTS: Final = (10_000, 100_000, 1_000_000)
WARM: Final = 1_000
# A million is its own repetition.
MOST_ROUNDS: Final = 2
MOST_MEGABYTES: Final = 10.0
COST_WITHIN: Final = 0.2


def run(stage: Stage, options: Options) -> Result:
    """Drain small, middle and large backlogs in turns."""
    rows.make_customers()
    counts = [options.scaled(count, 1_000 * 10**place) for place, count in enumerate(COUNTS)]
    names = [f"{count:,} due" for count in counts]
    figures: dict[str, dict[str, list[float]]] = {
        unit: {name: [] for name in names} for unit in ("records/s", "peak MB", "end MB")
    }
    for number in range(min(options.rounds, MOST_ROUNDS)):
        for count, name in zip(counts, names, strict=True):
            found = _drain(stage, count)
            for unit, value in found.items():
                figures[unit][name].append(value)
            told = ", ".join(f"{value:,.1f} {unit}" for unit, value in found.items())
            options.say(f"growth, {name}, round {number + 1}: {told}")
    small, large = names[0], names[-1]
    comparisons = [
        compare("speed", "records/s", figures["records/s"], [(large, small)]),
        compare("memory of the process at its peak", "MB", figures["peak MB"], [(large, small)]),
        compare("memory of the process at its end", "MB", figures["end MB"], [(large, small)]),
    ]
    grown = max(
        abs(most - least)
        for most, least in zip(figures["peak MB"][large], figures["peak MB"][small], strict=True)
    )
    # The cost of a record is the inverse of the speed.
    cost = ratio(figures["records/s"][small], figures["records/s"][large])
    return Result(
        name="growth",
        title="Growth of the backlog",
        comparisons=comparisons,
        aims=[
            Aim(name=f"MB of memory more for {large} than for {small}", figure=grown, at_most=MOST_MEGABYTES),
            Aim(
                name=f"cost of a record, {large} / {small}",
                figure=cost.median,
                at_least=1 - COST_WITHIN,
                at_most=1 + COST_WITHIN,
            ),
        ],
    )


def _drain(stage: Stage, count: int) -> dict[str, float]:
    """Have a fresh process drain so many records; return its speed and its memory."""
    name = "drain"
    rows.empty(Activity)
    rows.fill_activities(WARM, mark="warm")
    process = stage.start(name, "-m", "benchmarks.loops", name)
    stage.hear(name)
    stage.ask(name, "go")
    rows.fill_activities(count)
    stage.api.reset()
    time.sleep(1)
    found = dict(stage.ask(name, "go"))
    process.terminate()
    if Activity.objects.filter(status=Status.DELIVERED).count() != count + WARM:
        raise stage.error(name, "did not deliver everything")
    return {
        "records/s": count / found["seconds"],
        "peak MB": found["peak_kilobytes"] / 1024,
        "end MB": found["end_kilobytes"] / 1024,
    }
