"""What became of the lines of a file: counts, and which lines could not be reported."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import NamedTuple

from track360_django.management.track360.importing.entries import Entry


class BadLine(NamedTuple):
    """An entry that was not reported, and why."""

    entry: Entry
    reason: str
    message: str


@dataclass(kw_only=True)
class Counts:
    """
    How many lines were read, and what became of them.

    `undated` had no time and got that of the import; `held` wait until somebody reports their customers; `other` were
    written down before with other content.
    """

    read: int = 0
    new: int = 0
    changed: int = 0
    unchanged: int = 0
    bad: int = 0
    undated: int = 0
    held: int = 0
    other: int = 0

    def add(self, more: Counts) -> None:
        """Add the counts of some more lines."""
        for name, count in asdict(more).items():
            setattr(self, name, getattr(self, name) + count)


@dataclass(kw_only=True)
class Outcome:
    """What became of one batch."""

    counts: Counts = field(default_factory=Counts)
    _bad: list[BadLine] = field(default_factory=list)

    @property
    def bad(self) -> list[BadLine]:
        """The entries that are not reported, in the order of the file."""
        return sorted(self._bad, key=lambda bad: bad.entry.number)

    def refuse(self, entry: Entry, *, reason: str, message: str) -> None:
        """Note an entry that is not reported."""
        self._bad.append(BadLine(entry, reason, message))
        self.counts.bad += 1
