"""What a person asks for: which benchmarks, how many rounds, how much of each."""

from __future__ import annotations

import sys
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Options:
    """How to measure; `scale` multiplies the numbers of records."""

    rounds: int = 5
    scale: float = 1.0

    def say(self, sentence: str) -> None:
        """Tell the person who waits how far it is."""
        sys.stderr.write(f"{sentence}\n")
        sys.stderr.flush()

    def scaled(self, count: int, least: int = 1) -> int:
        """Return a number of records or repetitions at this scale."""
        return max(least, round(count * self.scale))
