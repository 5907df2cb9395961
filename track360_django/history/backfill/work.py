"""The form of every backfill: pages of the host's rows, each page recorded or shown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from django.core.management.base import OutputWrapper


class Between(NamedTuple):
    """A period; None is an open end."""

    since: datetime | None
    until: datetime | None

    def has(self, moment: datetime | None) -> bool:
        """Return whether a moment is in the period. An unknown moment (None) is."""
        if moment is None:
            return True
        return (self.since is None or moment >= self.since) and (self.until is None or moment < self.until)


@dataclass(kw_only=True)
class Counts:
    """How many rows were read, reported and refused. The others are known, or are not to be reported."""

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
        """The name of the work in messages."""

    def count(self) -> int:
        """Return about how many rows there are."""

    def pages(self) -> Iterator[list[Any]]:
        """Yield the rows, page by page."""

    def write(self, rows: Sequence[Any], notices: OutputWrapper) -> Counts:
        """Report the rows that were never reported, and name those that can't be reported."""

    def show(self, rows: Sequence[Any], out: OutputWrapper, notices: OutputWrapper) -> Counts:
        """Print the JSON that would be sent, and name the rows that can't be reported. Write nothing."""
