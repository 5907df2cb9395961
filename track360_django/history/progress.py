"""The progress of a long run, as a bar on a terminal or a line for each tenth elsewhere; its speed limit and memory."""

from __future__ import annotations

import time
from argparse import ArgumentTypeError
from typing import Final

from django.conf import settings
from django.core.management.base import OutputWrapper
from django.db import reset_queries

from track360_django.history.stopping import Stop

BAR_CHARACTERS: Final = 30
# The shortest time between two drawings of the bar.
DRAW_SECONDS: Final = 0.1
# If the total is unknown, one line for so many rows.
LINE_EVERY: Final = 100_000


class Meter:
    """
    Shows how much of a work is done.

    Args:
        out: The stream to write to.
        name: The name of the work.
        total: How much there is to do; None if unknown.
        done: How much was done before.
    """

    def __init__(self, out: OutputWrapper, name: str, total: int | None, *, done: int = 0) -> None:
        self._out = out
        self._name = name
        self._total = total
        self._is_bar = bool(total) and out.isatty()
        self._shown = self._step(done, 0)
        self._drawn_at = 0.0

    def show(self, done: int, count: int) -> None:
        """Show the progress: `done` in the unit of the total, `count` in lines or rows."""
        if self._is_bar:
            self._draw(done, count)
            return
        step = self._step(done, count)
        if step > self._shown:
            self._shown = step
            share = f"{step * 10} %, " if self._total else ""
            self._write(f"{self._name}: {share}{count:,} done\n")

    def end(self) -> None:
        """End the line of the bar."""
        if self._is_bar and self._drawn_at:
            self._write("\n")

    def _step(self, done: int, count: int) -> int:
        return done * 10 // self._total if self._total else count // LINE_EVERY

    def _draw(self, done: int, count: int) -> None:
        total = self._total or 1
        if time.monotonic() - self._drawn_at < DRAW_SECONDS and done < total:
            return
        self._drawn_at = time.monotonic()
        full = "#" * (BAR_CHARACTERS * done // total)
        bar = f"{full:.<{BAR_CHARACTERS}}"
        self._write(f"\r{self._name} [{bar}] {done * 100 // total:3} % {count:,}")

    def _write(self, text: str) -> None:
        # Not in red when the stream is standard error.
        self._out.write(text, style_func=str, ending="")
        self._out.flush()


class Pace:
    """Limits a command to so many lines or rows a second. Without a rate there is no limit."""

    def __init__(self, rate: float | None, stop: Stop) -> None:
        self._rate = rate
        self._stop = stop
        self._next_at = time.monotonic()

    def width(self, most: int) -> int:
        """Return how many rows may be taken at once: at most those of one second."""
        return most if self._rate is None else max(1, min(most, int(self._rate)))

    def wait(self, count: int) -> None:
        """Wait until more rows may follow after these `count`, or until a stop is requested."""
        if self._rate is not None:
            now = time.monotonic()
            self._next_at = max(self._next_at, now - 1) + count / self._rate
            self._stop.rest(self._next_at - now)


def rate(text: str) -> float:
    """
    Return a number of lines or rows a second.

    Raises:
        ArgumentTypeError: The text is not such a number. argparse prints the message.
    """
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.01 <= value <= 1_000_000:
        message = f"{text!r} is not a number from 0.01 to 1000000 a second"
        raise ArgumentTypeError(message)
    return value


def forget_queries() -> None:
    """Delete the SQL statements that Django keeps while DEBUG is on: for a million rows they take gigabytes."""
    if settings.DEBUG:
        reset_queries()
