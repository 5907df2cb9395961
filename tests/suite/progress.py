"""The line that says how far a run is, and about how long it still takes."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Final, TextIO

from tests.suite.durations import Durations
from tests.suite.events import Results

STEP: Final = 10
REDRAW_SECONDS: Final = 0.5


class Progress:
    """
    Shows how much of a run is done: redrawn on a terminal, elsewhere a line for every 10 %.

    Work is counted in the seconds that each test took when it was measured last, not in tests: a few take minutes.
    """

    def __init__(self, results: Sequence[Results], out: TextIO) -> None:
        self._results = results
        self._out = out
        self._is_terminal = out.isatty()
        self._began = time.monotonic()
        self._shown_at = 0.0
        self._shown_step = 0
        self._width = 0
        self._plans = {each.database: _Plan(each.database) for each in results}

    def show(self) -> None:
        """Say how far the run is, if there is something new to say."""
        shares = {each.database: self._plans[each.database].share_done(each) for each in self._results}
        total = sum(shares.values()) / len(shares)
        if self._is_terminal:
            if time.monotonic() - self._shown_at >= REDRAW_SECONDS:
                self._shown_at = time.monotonic()
                self._redraw(self._line(shares, total))
        elif int(total * 100) // STEP > self._shown_step:
            self._shown_step = int(total * 100) // STEP
            print(self._line(shares, total), file=self._out, flush=True)

    def end(self) -> None:
        """Clear the line on a terminal."""
        if self._is_terminal:
            self._redraw("")
            print("\r", end="", file=self._out, flush=True)

    def _line(self, shares: Mapping[str, float], total: float) -> str:
        parts = [f"{database} {share:.0%}" for database, share in shares.items()]
        failed = sum(len(each.with_outcome("failed")) for each in self._results)
        if failed:
            parts.append(f"{failed} failed")
        elapsed = time.monotonic() - self._began
        if total > 0.02:
            parts.append(f"about {_spoken(elapsed * (1 - total) / total)} left")
        return " · ".join(parts)

    def _redraw(self, line: str) -> None:
        print(f"\r{line.ljust(self._width)}", end="", file=self._out, flush=True)
        self._width = len(line)


class _Plan:
    """How much work the tests on one database are."""

    def __init__(self, database: str) -> None:
        self._durations = Durations.read(database)
        self._total = sum(self._durations.seconds.values())

    def share_done(self, results: Results) -> float:
        """Return how much of the work is done, between 0 and 1."""
        if not results.collected:
            return 0.0
        if len(results.ended) >= results.collected:
            return 1.0
        counted = len(results.ended) / results.collected
        done = results.seconds_by_module()
        known = sum(min(done.get(name, 0.0), seconds) for name, seconds in self._durations.seconds.items())
        return min((known + counted) / (self._total + 1.0), 0.99)


def _spoken(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
