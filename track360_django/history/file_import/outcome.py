"""The outcome of an import: counts of lines, and the lines that could not be reported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Final, NamedTuple

from track360_django.history.file_import.entries import Entry

# When an import continues, one in so many records is looked up in the database.
SAMPLED: Final = 50


class BadLine(NamedTuple):
    """An entry that was not reported, and why."""

    entry: Entry
    reason: str
    message: str


@dataclass(kw_only=True)
class Counts:
    """
    How many lines were read, and their outcomes.

    `undated` lines had no time and got the time of the import. `held` activities wait until their customers are
    reported. `other` lines were recorded before with other content. `doubtful` records may contain lines that a missing
    quotation mark swallowed.
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
    """The outcome of one batch."""

    counts: Counts = field(default_factory=Counts)
    # The ids of some records that are in the table now. An import that continues checks whether they still are.
    sample: list[list[str]] = field(default_factory=list)
    _bad: list[BadLine] = field(default_factory=list)

    @property
    def bad(self) -> list[BadLine]:
        """The entries that were not reported, in the order of the file."""
        return sorted(self._bad, key=lambda bad: bad.entry.number)

    def note_written(self, ids: Sequence[list[str]]) -> None:
        """Take a sample of the records that are in the table now, including the last one."""
        self.sample = [*ids[:-1:SAMPLED], *ids[-1:]]

    def refuse(self, entry: Entry, *, reason: str, message: str) -> None:
        """Add an entry that was not reported."""
        self._bad.append(BadLine(entry, reason, message))
        self.counts.bad += 1
