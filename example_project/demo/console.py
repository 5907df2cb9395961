"""How the demo speaks: short aligned lines, colour on a terminal only."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import Final, TextIO

WIDTH: Final = 88
BOLD, DIM, GREEN, RED = "1", "2", "32", "31"


class Console:
    """
    Lines for a person, on one stream.

    Colour follows the stream, and `NO_COLOR` (no-color.org) turns it off.
    """

    def __init__(self, stream: TextIO = sys.stdout) -> None:
        self._stream = stream
        self._is_coloured = stream.isatty() and "NO_COLOR" not in os.environ

    def title(self, text: str) -> None:
        """Begin: what this is."""
        self._write(self._paint(BOLD, text))

    def step(self, text: str) -> None:
        """Open a step of the story."""
        self._write("")
        self._write(self._paint(BOLD, text))

    def sent(self, who: str, what: str, status: int, seconds: float) -> None:
        """Show one request with its answer and how long the answer took."""
        room = WIDTH - 31
        what = what if len(what) <= room else f"{what[: room - 1]}…"
        colour = GREEN if status < 400 else RED
        self._write(
            f"  {who:<9}  {what:<{room}} {self._paint(colour, str(status))} {seconds * 1000:>8.0f} ms"
        )

    def arrived(self, who: str, what: str, status: int) -> None:
        """Show one request that somebody else sent, with its answer."""
        self._write(f"  {who:<9}  {what:<{WIDTH - 31}} {self._paint(GREEN, str(status))}")

    def said(self, who: str, what: str) -> None:
        """Show something that is no request."""
        self._write(f"  {who:<9}  {what}")

    def detail(self, what: str) -> None:
        """Add to the line above."""
        self._write(self._paint(DIM, f"  {'':<9}  {what}"))

    def table(self, rows: Iterable[tuple[str, ...]]) -> None:
        """Show rows of a first column for words and further ones for figures."""
        for words, *figures in rows:
            self._write(f"  {words:<42}" + "".join(f"{figure:>15}" for figure in figures))

    def good(self, text: str) -> None:
        """End well."""
        self._write(self._paint(GREEN, text))

    def bad(self, text: str) -> None:
        """Say what did not happen."""
        self._write(self._paint(RED, text))

    def _paint(self, colour: str, text: str) -> str:
        return f"\x1b[{colour}m{text}\x1b[0m" if self._is_coloured else text

    def _write(self, line: str) -> None:
        self._stream.write(f"{line}\n")
        self._stream.flush()
