"""What is on its way: the very text that is sent, and what is needed to settle it. Plain values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from track360_django.outbox.due import DueActivity
from track360_django.outbox.settlement import Outcome


class CustomerParcel(NamedTuple):
    """A customer on its way: the very text that is sent, and what is needed to settle it."""

    pk: int
    version: int
    attempts: int
    is_too_old: bool
    # What it is announced by: the customer id.
    names: tuple[str, ...]
    body: str

    def __repr__(self) -> str:
        # Never the body, which holds names: error trackers show it.
        return f"<CustomerParcel {self.pk}>"


# An activity's body was fixed when it was written down: its row is all there is.
Parcel = CustomerParcel | DueActivity


@dataclass(frozen=True, kw_only=True)
class Packed:
    """One page: what goes, and what is held or dead before any attempt."""

    parcels: Sequence[Parcel] = field(default_factory=list)
    aside: list[Outcome] = field(default_factory=list)
