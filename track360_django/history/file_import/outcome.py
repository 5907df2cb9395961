"""What became of the lines of a file: counts, and which lines could not be reported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Final, NamedTuple

from track360_django.history.file_import.entries import Entry

# One in so many records is looked for when an import goes on.
SAMPLED: Final = 50


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
    written down before with other content; `doubtful` may hold lines that a lost quotation mark swallowed.
    """

    read: int = 0
    new: int = 0
    changed: int = 0
    unchanged: int = 0
    bad: int = 0
    undated: int = 0
    held: int = 0
    other: int = 0
    doubtful: int = 0

    def add(self, more: Counts) -> None:
        """Add the counts of some more lines."""
        for name, count in asdict(more).items():
            setattr(self, name, getattr(self, name) + count)


@dataclass(kw_only=True)
class Outcome:
    """What became of one batch."""

    counts: Counts = field(default_factory=Counts)
    # Some of the records that are there now, by their ids: who goes on later looks whether they still are.
    sample: list[list[str]] = field(default_factory=list)
    _bad: list[BadLine] = field(default_factory=list)

    @property
    def bad(self) -> list[BadLine]:
        """The entries that are not reported, in the order of the file."""
        return sorted(self._bad, key=lambda bad: bad.entry.number)

    def note_written(self, ids: Sequence[list[str]]) -> None:
        """Take a sample of the records that are there now, the last one among them."""
        self.sample = [*ids[:-1:SAMPLED], *ids[-1:]]

    def refuse(self, entry: Entry, *, reason: str, message: str) -> None:
        """Note an entry that is not reported."""
        self._bad.append(BadLine(entry, reason, message))
        self.counts.bad += 1
