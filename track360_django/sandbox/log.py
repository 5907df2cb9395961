"""The log of requests to the two event endpoints, in order of arrival. It is bounded: the oldest are removed first."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from threading import Lock
from typing import TYPE_CHECKING, TypedDict, Unpack

if TYPE_CHECKING:
    from .guide import Endpoint
    from .problem import Problem


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """
    One request.

    Attributes:
        seq: Its number, from 1, in order of arrival.
        endpoint: Its endpoint.
        received_at: When it had been read completely.
        answered_at: Just before the answer was written; None while it is open, or if it never got an answer.
        brand: Fingerprint of its token; empty if it had none.
        status: Status of the answer, or the status it would have got; 0 while it is open.
        records: Number of records in the body; 0 if it was unreadable.
        accepted: Records that had an effect.
        duplicates: Records that repeated an earlier one.
        fault: The fault that hit it, as text; empty if none did.
        problems: Why it was refused.
    """

    seq: int
    endpoint: Endpoint
    received_at: datetime
    answered_at: datetime | None = None
    brand: str = ""
    status: int = 0
    records: int = 0
    accepted: int = 0
    duplicates: int = 0
    fault: str = ""
    problems: tuple[Problem, ...] = ()

    @property
    def is_refused(self) -> bool:
        """Whether the sandbox itself refused it; a fault is not a refusal."""
        return bool(self.problems)


class Change(TypedDict, total=False):
    """The facts about a request that become known after its arrival."""

    brand: str
    status: int
    records: int
    accepted: int
    duplicates: int
    fault: str
    problems: tuple[Problem, ...]


class RequestLog:
    """The last requests, by number."""

    def __init__(self, *, limit: int) -> None:
        """Start empty; keep the last `limit` requests."""
        self._limit = limit
        self._lock = Lock()
        self._entries: dict[int, Entry] = {}
        self._last_seq = 0

    def open(self, endpoint: Endpoint) -> int:
        """Record the arrival of a request; return its number."""
        with self._lock:
            self._last_seq += 1
            entry = Entry(seq=self._last_seq, endpoint=endpoint, received_at=datetime.now(UTC))
            self._entries[entry.seq] = entry
            if len(self._entries) > self._limit:
                del self._entries[next(iter(self._entries))]
            return entry.seq

    def note(self, seq: int, **change: Unpack[Change]) -> None:
        """Record new facts about a request; nothing happens if it was already removed."""
        with self._lock:
            if entry := self._entries.get(seq):
                self._entries[seq] = replace(entry, **change)

    def note_answered(self, seq: int) -> None:
        """Record that the answer is about to be written: before any client can have it."""
        with self._lock:
            if entry := self._entries.get(seq):
                self._entries[seq] = replace(entry, answered_at=datetime.now(UTC))

    def entries(self) -> tuple[Entry, ...]:
        """Return the requests in order of arrival."""
        with self._lock:
            return tuple(self._entries.values())

    def clear(self) -> None:
        """Remove all requests; the numbers continue."""
        with self._lock:
            self._entries.clear()
