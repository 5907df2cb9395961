"""How far a long run is, as a bar on a terminal and as a line for each tenth elsewhere; its pace, and its memory."""

from __future__ import annotations

import time
from argparse import ArgumentTypeError
from typing import Final

from django.conf import settings
from django.core.management.base import OutputWrapper
from django.db import reset_queries

from track360_django.history.stopping import Stop

BAR_CHARACTERS: Final = 30
# How often a bar is drawn at most.
DRAW_SECONDS: Final = 0.1
# Where the whole is not known, a line for so many.
LINE_EVERY: Final = 100_000


class Meter:
    """
    Tells how much of something is done.

    Args:
        out: Where to.
        name: Of what.
        total: How much there is to do; None when nobody knows.
        done: How much was done before.
    """

    def __init__(self, out: OutputWrapper, name: str, total: int | None, *, done: int = 0) -> None:
        self._out = out
        self._name = name
        self._total = total
        self._is_bar = bool(total) and out.isatty()
        self._told = self._step(done, 0)
        self._drawn_at = 0.0

    def show(self, done: int, count: int) -> None:
        """Show that so much is done, which were so many lines or rows."""
        if self._is_bar:
            self._draw(done, count)
            return
        step = self._step(done, count)
        if step > self._told:
            self._told = step
            share = f"{step * 10} %, " if self._total else ""
            self._write(f"{self._name}: {share}{count:,} done\n")

    def end(self) -> None:
        """Leave the line of the bar."""
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
        # Not in red, where it is the stream of errors.
        self._out.write(text, style_func=str, ending="")
        self._out.flush()


class Pace:
    """Keeps a command to so many lines or rows a second; as fast as it can without a rate."""

    def __init__(self, rate: float | None, stop: Stop) -> None:
        self._rate = rate
        self._stop = stop
        self._next_at = time.monotonic()

    def width(self, most: int) -> int:
        """Return how many may be taken at once: no more than a second's worth."""
        return most if self._rate is None else max(1, min(most, int(self._rate)))

    def wait(self, count: int) -> None:
        """Rest until so many more may follow, or until a stop is asked for."""
        if self._rate is not None:
            now = time.monotonic()
            self._next_at = max(self._next_at, now - 1) + count / self._rate
            self._stop.rest(self._next_at - now)


def rate(text: str) -> float:
    """
    Return a number of lines or rows a second.

    Raises:
        ArgumentTypeError: It is none; argparse tells the person.
    """
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.01 <= value <= 1_000_000:
        message = f"{text!r} is no number from 0.01 to 1000000 a second"
        raise ArgumentTypeError(message)
    return value


def forget_queries() -> None:
    """Forget what Django remembers of each statement while DEBUG is on: of a million rows it would be gigabytes."""
    if settings.DEBUG:
        reset_queries()
