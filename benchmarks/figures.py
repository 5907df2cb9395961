"""Figures: what was measured in each round, the ratios within a round, and what was aimed at. No clock, no server."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Spread:
    """What some rounds gave: the least, the middle and the most."""

    least: float
    median: float
    most: float


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """
    Contestants side by side under one condition.

    `figures` are named by contestant, `ratios` by "this / that"; a ratio is computed within each round.
    """

    condition: str
    unit: str
    figures: Mapping[str, Spread]
    ratios: Mapping[str, Spread] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Aim:
    """What was aimed at: a figure that is to be `at_least` or `at_most` so much."""

    name: str
    figure: float
    at_least: float | None = None
    at_most: float | None = None

    @property
    def is_reached(self) -> bool:
        """Tell whether the figure is within the aim."""
        return (self.at_least is None or self.figure >= self.at_least) and (
            self.at_most is None or self.figure <= self.at_most
        )


@dataclass(frozen=True, kw_only=True)
class Result:
    """What one benchmark found: comparisons, aims, and facts that a reader needs to judge them."""

    name: str
    title: str
    comparisons: Sequence[Comparison]
    aims: Sequence[Aim] = ()
    facts: Mapping[str, str] = field(default_factory=dict)


def spread(values: Sequence[float]) -> Spread:
    """Return least, median and most of the rounds."""
    return Spread(least=min(values), median=statistics.median(values), most=max(values))


def ratio(these: Sequence[float], those: Sequence[float]) -> Spread:
    """Return this divided by that, round by round: what slowed a round down slowed both."""
    return spread([this / that for this, that in zip(these, those, strict=True)])


def compare(
    condition: str, unit: str, rounds: Mapping[str, Sequence[float]], ratios: Sequence[tuple[str, str]]
) -> Comparison:
    """Return the comparison of contestants whose figures are given round by round."""
    return Comparison(
        condition=condition,
        unit=unit,
        figures={name: spread(values) for name, values in rounds.items()},
        ratios={f"{this} / {that}": ratio(rounds[this], rounds[that]) for this, that in ratios},
    )


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the value that so many percent of the values do not exceed."""
    ordered = sorted(values)
    return ordered[max(math.ceil(len(ordered) * percent / 100) - 1, 0)]
