"""Formats: what a file holds, customers or activities, as CSV or JSONL, told by its first lines."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from track360_django import payloads
from track360_django.management.track360.importing import entries
from track360_django.management.track360.importing.entries import Entry, UnreadableError
from track360_django.management.track360.importing.lines import Line, Lines

Kind = Literal["customers", "activities"]

# What tells an activity from a customer, whatever else is there (API guide, Field definitions).
_KEYS: Final[dict[str, Kind]] = {
    payloads.ACTIVITY_ARGUMENTS["eventname"]: "activities",
    payloads.CUSTOMER_ARGUMENTS["user"]: "customers",
}
# So many lines are looked at: the first may be malformed.
_LOOK: Final = 50
_DELIMITERS: Final = (",", ";", "\t")


class UnknownFormatError(ValueError):
    """A file holds neither customers nor activities; the message says what was looked for."""


@dataclass(frozen=True, kw_only=True)
class Format:
    """What a file holds; `columns` is empty for JSONL."""

    kind: Kind
    columns: Sequence[str] = ()
    delimiter: str = ","

    def entries(self, lines: Lines) -> Iterator[Entry]:
        """Return the entries of a file that is read from behind its header on."""
        if self.columns:
            return entries.of_csv(lines, self.columns, self.delimiter)
        return entries.of_jsonl(lines)


def recognise(lines: Lines) -> Format | None:
    """
    Return what a file holds, None when it is empty; a header is read over, all other lines are still to be read.

    Raises:
        UnknownFormatError: It holds neither customers nor activities.
    """
    first = _first(lines)
    if first is None:
        return None
    text = first.content.decode(errors="replace").strip()
    if first.content.startswith((b"\xff\xfe", b"\xfe\xff")):
        message = "it is UTF-16: save it as UTF-8."
        raise UnknownFormatError(message)
    if text.startswith("["):
        message = "it is one JSON array: write one object on each line (`jq -c '.[]'` does that)."
        raise UnknownFormatError(message)
    if text.startswith("{"):
        lines.put_back([first])
        return Format(kind=_kind_of_objects(lines))
    return _format_of_header(text)


def _first(lines: Lines) -> Line | None:
    """Return the first line that is not blank."""
    while (line := lines.read()) is not None:
        if line.content.strip():
            return line
    return None


def _kind_of_objects(lines: Lines) -> Kind:
    seen: list[Line] = []
    try:
        while len(seen) < _LOOK and (line := lines.read()) is not None:
            seen.append(line)
            try:
                kind = kind_of(entries.parse_object(line.content))
            except UnreadableError:
                continue
            if kind is not None:
                return kind
    finally:
        lines.put_back(seen)
    message = (
        f"none of its first {len(seen)} lines is a JSON object with {_names(_KEYS)} "
        "(API guide, Field definitions; names are written as there)."
    )
    raise UnknownFormatError(message)


def _format_of_header(text: str) -> Format:
    for delimiter in _DELIMITERS:
        columns = _cells(text, delimiter)
        kind = kind_of(columns)
        if kind is not None:
            _refuse_columns(columns)
            return Format(kind=kind, columns=columns, delimiter=delimiter)
    message = (
        f"its first line is no JSON object, and no CSV header with a column {_names(_KEYS)} "
        "(API guide, Field definitions; names are written as there)."
    )
    raise UnknownFormatError(message)


def _cells(text: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([text], delimiter=delimiter, strict=True))
    except (csv.Error, StopIteration):
        return []


def kind_of(names: Iterable[str]) -> Kind | None:
    """Return what a record with these fields is."""
    present = set(names)
    return next((kind for name, kind in _KEYS.items() if name in present), None)


def _refuse_columns(columns: Sequence[str]) -> None:
    if "" in columns or len(set(columns)) < len(columns):
        message = (
            "its header has a column without a name, or a name twice: nobody can tell which value is meant."
        )
        raise UnknownFormatError(message)


def _names(names: Iterable[str]) -> str:
    return " (customers) or ".join(sorted(names)) + " (activities)"
