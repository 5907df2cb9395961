"""Read the part of a request's body that is the same for both endpoints: a JSON array, without checking its elements."""

from __future__ import annotations

import json

from . import guide
from .problem import Problem

Record = dict[str, object]


class RepeatedNames(Record):
    """A JSON object with a name that occurs twice. It is a type of its own, so that its record can be named."""


class UnreadableError(Exception):
    """The body is not a JSON array of records; `problem` says why."""

    def __init__(self, error: str) -> None:
        super().__init__(error)
        self.problem = Problem(code="request", error=error, guide=guide.BATCHING)


def read_batch(body: bytes) -> list[object]:
    """
    Return the elements of the JSON array in the body.

    Raises:
        UnreadableError: The body is not UTF-8, not JSON, not an array, or an empty array.

    Source: API guide, "General API Conventions, Batching". An empty array is refused by our choice: no client
    has a reason to send one.
    """
    batch = _parse(body)
    if not isinstance(batch, list):
        error = "the body is not a JSON array; send [record, …] also for a single record"
        raise UnreadableError(error)
    if not batch:
        error = "the array is empty; send at least one record"
        raise UnreadableError(error)
    return batch


def _parse(body: bytes) -> object:
    try:
        parsed: object = json.loads(body.decode("utf-8"), object_pairs_hook=_read_object)
    except UnicodeDecodeError:
        error = "the body is not UTF-8"
        raise UnreadableError(error) from None
    except (ValueError, RecursionError):
        error = "the body is not JSON"
        raise UnreadableError(error) from None
    return parsed


def _read_object(pairs: list[tuple[str, object]]) -> Record:
    record = dict(pairs)
    return record if len(record) == len(pairs) else RepeatedNames(record)
