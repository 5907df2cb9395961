"""Formats: recognise by its first lines whether a file holds customers or activities, as CSV or JSONL."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Literal

from track360_django.api import payloads
from track360_django.history.file_import import entries
from track360_django.history.file_import.entries import Entry, UnreadableError
from track360_django.history.file_import.lines import Line, Lines

Kind = Literal["customers", "activities"]

# The field that makes a record an activity or a customer, whatever other fields it has (API guide, Field definitions).
_KEYS: Final[dict[str, Kind]] = {
    payloads.ACTIVITY_ARGUMENTS["eventname"]: "activities",
    payloads.CUSTOMER_ARGUMENTS["user"]: "customers",
}
# How many lines are examined: the first ones may be malformed.
_LOOK: Final = 50
_DELIMITERS: Final = (",", ";", "\t")


class UnknownFormatError(ValueError):
    """A file holds neither customers nor activities. The message says what was expected."""


@dataclass(frozen=True, kw_only=True)
class Format:
    """The format of a file. `columns` is empty for JSONL."""

    kind: Kind
    columns: Sequence[str] = ()
    delimiter: str = ","

    def entries(self, lines: Lines) -> Iterator[Entry]:
        """Return the entries of a file, which must be positioned after its header."""
        if self.columns:
            return entries.of_csv(lines, self.columns, self.delimiter)
        return entries.of_jsonl(lines)


def recognise(lines: Lines) -> Format | None:
    """
    Return the format of a file, None if it is empty. A header is consumed; all other lines can still be read.

    Raises:
        UnknownFormatError: The file holds neither customers nor activities.
    """
    first = _first(lines)
    if first is None:
        return None
    if first.content.startswith((b"\xff\xfe", b"\xfe\xff")):
        message = "it is UTF-16: save it as UTF-8."
        raise UnknownFormatError(message)
    text = first.content.decode(errors="replace").strip()
    if found := _format_of_header(text):
        return found
    lines.put_back([first])
    kind = _kind_of_objects(lines)
    if kind is None:
        raise UnknownFormatError(_why_unknown(text))
    return Format(kind=kind)


def _first(lines: Lines) -> Line | None:
    """Return the first line that is not blank."""
    while (line := lines.read()) is not None:
        if line.content.strip():
            return line
    return None


def _kind_of_objects(lines: Lines) -> Kind | None:
    """Return the kind of the first line that is an object of the guide. All lines can still be read."""
    seen: list[Line] = []
    try:
        while len(seen) < _LOOK and (line := lines.read()) is not None:
            seen.append(line)
            with suppress(UnreadableError):
                if kind := kind_of(entries.parse_object(line.content)):
                    return kind
    finally:
        lines.put_back(seen)
    return None


def _why_unknown(text: str) -> str:
    if text.startswith("["):
        return "it is one JSON array: write one object on each line (`jq -c '.[]'` does that)."
    names = " (customers) or ".join(sorted(_KEYS)) + " (activities)"
    what = "JSON object with the field" if text.startswith("{") else "CSV header with a column"
    return f"it does not begin with a {what} {names}. Write names as in the API guide, Field definitions."


def _format_of_header(text: str) -> Format | None:
    if text.startswith("{"):
        return None
    for delimiter in _DELIMITERS:
        columns = _cells(text, delimiter)
        kind = kind_of(columns)
        if kind is not None:
            _refuse_columns(columns)
            return Format(kind=kind, columns=columns, delimiter=delimiter)
    return None


def _cells(text: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([text], delimiter=delimiter, strict=True))
    except (csv.Error, StopIteration):
        return []


def kind_of(names: Iterable[str]) -> Kind | None:
    """Return the kind of a record with these fields."""
    present = set(names)
    return next((kind for name, kind in _KEYS.items() if name in present), None)


def _refuse_columns(columns: Sequence[str]) -> None:
    if "" in columns or len(set(columns)) < len(columns):
        message = (
            "its header has a column without a name, or a name twice, so it is unclear which value is meant."
        )
        raise UnknownFormatError(message)
