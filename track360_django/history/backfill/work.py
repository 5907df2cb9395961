"""What every backfill is: pages of the host's rows, each written down or shown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from django.core.management.base import OutputWrapper


class Between(NamedTuple):
    """A time; None where it is open."""

    since: datetime | None
    until: datetime | None

    def has(self, moment: datetime | None) -> bool:
        """Tell whether a moment is within; one that nobody knows is."""
        if moment is None:
            return True
        return (self.since is None or moment >= self.since) and (self.until is None or moment < self.until)


@dataclass(kw_only=True)
class Counts:
    """How many rows were read, and what became of them; the others are known, or not to be reported."""

    read: int = 0
    reported: int = 0
    refused: int = 0

    def add(self, more: Counts) -> None:
        """Add the counts of some more rows."""
        for each in fields(self):
            setattr(self, each.name, getattr(self, each.name) + getattr(more, each.name))

    def __str__(self) -> str:
        return f"{self.read} read, {self.reported} reported, {self.refused} not reportable"


class Work(Protocol):
    """Users, or the rows of one declaration in one database."""

    @property
    def name(self) -> str:
        """What it is called in messages."""

    def count(self) -> int:
        """Return how many rows there are about."""

    def pages(self) -> Iterator[list[Any]]:
        """Yield the rows, so many at a time."""

    def write(self, rows: Sequence[Any], told: OutputWrapper) -> Counts:
        """Report those that nobody reported, and name what can't be."""

    def show(self, rows: Sequence[Any], out: OutputWrapper, told: OutputWrapper) -> Counts:
        """Print what would be sent, and name what can't be reported; write nothing."""
