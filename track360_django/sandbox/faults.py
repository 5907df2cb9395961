"""
Faults on request: what goes wrong, for which requests, how often; and the queue of faults still to come.

A fault is only a description; the transport carries it out. Any transport can do `answer` and `delay_seconds`. The
other endings need the socket, so only the standalone server has them.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, fields
from threading import Lock
from typing import TYPE_CHECKING, Final, Literal, TypedDict, get_args

from . import guide

if TYPE_CHECKING:
    from collections.abc import Callable

    from .guide import Endpoint

Ending = Literal["answer", "leave", "close", "reset", "truncate", "half-head", "trickle", "hang"]
ENDINGS: Final = frozenset[str](get_args(Ending))
PLAIN_ENDINGS: Final = frozenset({"answer"})
_STATUSES: Final = range(100, 600)


class FaultWords(TypedDict, total=False):
    """The attributes of `Fault` as keyword arguments."""

    endpoint: Endpoint | None
    min_records: int
    times: int | None
    seconds: float | None
    status: int | None
    retry_after: str | None
    location: str | None
    content_type: str
    body: str | None
    delay_seconds: float
    processed: bool | None
    ending: Ending


class FaultError(ValueError):
    """A requested fault has an invalid value, or this transport can't do it."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """
    Something that goes wrong. Without `times` and `seconds`, it happens once.

    Attributes:
        endpoint: Only requests to this endpoint; None for both.
        min_records: Only requests with at least this many records.
        times: How many requests it hits; None for no limit of number.
        seconds: How long it is active, from when it was added; None for no limit of time.
        status: Answer with this status; None keeps the sandbox's own answer.
        retry_after: `Retry-After` header, verbatim: seconds, a date, or nonsense.
        location: `Location` header, verbatim, for redirects.
        content_type: `Content-Type` of the answer, used with `status` or `body`.
        body: Body of the answer; None for a short JSON object that says it is a fault.
        delay_seconds: Wait so long before the answer (with `trickle`: between two bytes of it).
        processed: Whether the records take effect first; None means yes, unless `status` is set and is not 2xx.
        ending: How the exchange ends. `answer`: completely. `leave`: completely, then
            closed without notice. `close`: closed without an answer. `reset`: TCP
            reset without an answer. `truncate`: half of the body, then closed. `half-head`: half of the headers,
            then closed. `trickle`: byte by byte. `hang`: silence until the client or the server leaves.

    Source: none, our choice: the guide says nothing about failures; these are the failures of networks.
    """

    endpoint: Endpoint | None = None
    min_records: int = 0
    times: int | None = None
    seconds: float | None = None
    status: int | None = None
    retry_after: str | None = None
    location: str | None = None
    content_type: str = guide.MEDIA_TYPE
    body: str | None = None
    delay_seconds: float = 0
    processed: bool | None = None
    ending: Ending = "answer"

    def __post_init__(self) -> None:
        """Refuse invalid values."""
        for name, is_right, right in _RULES:
            if not is_right(getattr(self, name)):
                message = f"{name}: must be {right}"
                raise FaultError(message)

    @classmethod
    def from_json(cls, wanted: object) -> Fault:
        """
        Build a fault from a JSON object with the attributes' names.

        Raises:
            FaultError: The value is not an object, has an unknown name, or has an invalid value.
        """
        if not isinstance(wanted, dict):
            message = "a fault is a JSON object"
            raise FaultError(message)
        unknown = sorted(set(wanted) - {field.name for field in fields(cls)})
        if unknown:
            message = (
                f"unknown: {', '.join(unknown)}; known: {', '.join(field.name for field in fields(cls))}"
            )
            raise FaultError(message)
        return cls(**wanted)

    def as_json(self) -> dict[str, object]:
        """Return the attributes as JSON values."""
        return asdict(self)

    @property
    def is_processed(self) -> bool:
        """Whether the records of a request with this fault take effect."""
        if self.processed is not None:
            return self.processed
        return self.status is None or self.status // 100 == 2

    @property
    def replaces_answer(self) -> bool:
        """Whether the fault replaces the sandbox's own answer."""
        return self.status is not None or self.body is not None

    def __str__(self) -> str:
        """Return a short description of the fault."""
        parts: list[str] = [self.ending] if self.ending != "answer" else []
        parts += [f"status {self.status}"] if self.status else []
        parts += [f"delay {self.delay_seconds:g} s"] if self.delay_seconds else []
        return ", ".join(parts or ["other body" if self.body is not None else "none"])


class Faults:
    """The faults still to come, oldest first. It is safe to use from many threads."""

    def __init__(self, *, endings: frozenset[str] = PLAIN_ENDINGS) -> None:
        """Start empty; `endings` are those that the transport can do."""
        self._endings = endings
        self._lock = Lock()
        self._waiting: list[_Waiting] = []

    def add(self, fault: Fault) -> Fault:
        """
        Add a fault after those that wait.

        Raises:
            FaultError: The transport can't carry it out.
        """
        if fault.ending not in self._endings:
            message = f"ending: {fault.ending} needs the socket; run the standalone server, python -m track360_django.sandbox"
            raise FaultError(message)
        with self._lock:
            self._waiting.append(_Waiting(fault))
        return fault

    def take(self, endpoint: Endpoint, records: int) -> Fault | None:
        """Return the fault that hits this request, if any, and count it."""
        with self._lock:
            self._drop_spent()
            hit = next((each for each in self._waiting if each.hits(endpoint, records)), None)
            return hit.use() if hit else None

    def waiting(self) -> tuple[dict[str, object], ...]:
        """Return the faults still to come as JSON objects, each with its remaining times and seconds."""
        with self._lock:
            self._drop_spent()
            return tuple(each.as_json() for each in self._waiting)

    def clear(self) -> None:
        """Remove all faults."""
        with self._lock:
            self._waiting.clear()

    def _drop_spent(self) -> None:
        self._waiting = [each for each in self._waiting if not each.is_spent]


class _Waiting:
    """A fault, with its remaining times and seconds."""

    def __init__(self, fault: Fault) -> None:
        self._fault = fault
        self._left = 1 if fault.times is None and fault.seconds is None else fault.times
        self._until = None if fault.seconds is None else time.monotonic() + fault.seconds

    @property
    def is_spent(self) -> bool:
        return self._left == 0 or (self._until is not None and time.monotonic() >= self._until)

    def hits(self, endpoint: Endpoint, records: int) -> bool:
        return self._fault.endpoint in (None, endpoint) and records >= self._fault.min_records

    def use(self) -> Fault:
        if self._left is not None:
            self._left -= 1
        return self._fault

    def as_json(self) -> dict[str, object]:
        seconds = None if self._until is None else max(0.0, self._until - time.monotonic())
        return self._fault.as_json() | {"left_times": self._left, "left_seconds": seconds}


def _is_count(value: object) -> bool:
    return type(value) is int and value >= 0


def _is_seconds(value: object) -> bool:
    return type(value) in (int, float) and 0 <= float(str(value)) < float("inf")


def _is_header(value: object) -> bool:
    return isinstance(value, str) and value.isascii() and value.isprintable()


def _optional(is_right: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: value is None or is_right(value)


_RULES: Final[tuple[tuple[str, Callable[[object], bool], str], ...]] = (
    (
        "endpoint",
        _optional(lambda value: isinstance(value, str) and value in guide.PATHS),
        f"one of {', '.join(guide.PATHS)}, or null",
    ),
    ("min_records", _is_count, "a whole number, 0 or more"),
    ("times", _optional(_is_count), "a whole number, 0 or more, or null"),
    ("seconds", _optional(_is_seconds), "a number of seconds, 0 or more, or null"),
    ("status", _optional(lambda value: type(value) is int and value in _STATUSES), "100 to 599, or null"),
    ("retry_after", _optional(_is_header), "printable ASCII text, or null"),
    ("location", _optional(_is_header), "printable ASCII text, or null"),
    ("content_type", _is_header, "printable ASCII text"),
    ("body", _optional(lambda value: isinstance(value, str)), "text, or null"),
    ("delay_seconds", _is_seconds, "a number of seconds, 0 or more"),
    ("processed", _optional(lambda value: isinstance(value, bool)), "true, false or null"),
    (
        "ending",
        lambda value: isinstance(value, str) and value in ENDINGS,
        f"one of {', '.join(sorted(ENDINGS))}",
    ),
)
