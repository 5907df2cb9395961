"""Entries: the fields of one line (in CSV, of one record over several lines), or why it can't be read."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any, Final, NamedTuple

from track360_django.exceptions import PayloadError
from track360_django.history.file_import.lines import MAX_BYTES, Line, Lines

# How much of a line that is too long is kept, so that a person finds it in the file.
EXCERPT_CHARACTERS: Final = 200


class Entry(NamedTuple):
    """
    One entry of a file: its fields as they are written, or the error if it can't be read.

    `number` is the number of its first line, `last` that of its last line, `end` the offset after it. An entry is
    doubtful if a missing quotation mark may have caused it: one of its cells contains a line break and a delimiter.
    """

    number: int
    last: int
    end: int
    text: str
    fields: dict[str, Any]
    error: PayloadError | None = None
    is_doubtful: bool = False


class UnreadableError(PayloadError):
    """A line is not a record: nothing in it can be reported."""

    def __init__(self, message: str) -> None:
        super().__init__(message, reason="malformed_line")


def of_jsonl(lines: Lines) -> Iterator[Entry]:
    """Yield the entries of a file with one JSON object a line."""
    while (line := lines.read()) is not None:
        if line.is_too_long:
            yield _unread([line], _too_long())
        elif line.content.strip():
            try:
                yield _entry([line], parse_object(line.content))
            except UnreadableError as error:
                yield _unread([line], error)


def of_csv(lines: Lines, columns: Sequence[str], delimiter: str) -> Iterator[Entry]:
    """Yield the entries of a CSV file after its header. A quoted cell may contain line breaks."""
    feed = _Feed(lines)
    reader = csv.reader(feed, delimiter=delimiter, strict=True)
    while True:
        feed.begin()
        try:
            cells = next(reader)
        except StopIteration:
            return
        except (UnreadableError, csv.Error, UnicodeDecodeError) as error:
            first, *swallowed = feed.taken
            # One missing quotation mark must not swallow the lines after it.
            lines.put_back(swallowed)
            is_unclosed = feed.is_unclosed or len(swallowed) > 0
            yield _unread([first], _unclosed(first) if is_unclosed else _why_no_csv(error))
            continue
        if len(feed.taken) > 1 and len(cells) != len(columns):
            lines.put_back(feed.taken[1:])
            yield _unread(feed.taken[:1], _unclosed(feed.taken[0]))
        elif cells:
            is_doubtful = any("\n" in cell and delimiter in cell for cell in cells)
            yield _row(feed.taken, cells, columns)._replace(is_doubtful=is_doubtful)


class _Feed:
    """Gives lines to a CSV reader, and remembers which lines it took for one record."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self.begin()

    def begin(self) -> None:
        """Begin a record."""
        self.taken: list[Line] = []
        self.is_unclosed = False
        self._size = 0

    def __iter__(self) -> _Feed:
        return self

    def __next__(self) -> str:
        line = self._lines.read()
        if line is None:
            self.is_unclosed = len(self.taken) > 0
            raise StopIteration
        self.taken.append(line)
        self._size += len(line.content)
        if self._size > MAX_BYTES:
            self.is_unclosed = True
            raise _too_long()
        return line.content.decode()


def _row(lines: list[Line], cells: list[str], columns: Sequence[str]) -> Entry:
    if len(cells) != len(columns):
        message = f"it has {len(cells)} cells, but the header has {len(columns)}: look for a missing quotation mark or comma."
        return _unread(lines, UnreadableError(message))
    return _entry(lines, {name: cell for name, cell in zip(columns, cells, strict=True) if cell})


def parse_object(content: bytes) -> dict[str, Any]:
    """
    Return the JSON object of a line, with numbers exactly as they are written.

    Raises:
        UnreadableError: The line is not a JSON object, or names a field twice.
    """
    try:
        value = json.loads(
            content.decode(),
            parse_float=Decimal,
            parse_constant=_refuse_constant,
            object_pairs_hook=_unique,
        )
    except UnreadableError:
        raise
    except UnicodeDecodeError as error:
        raise _no_utf8(error) from None
    except json.JSONDecodeError as error:
        message = f"it is not JSON: {error.msg}, at character {error.pos + 1}."
        raise UnreadableError(message) from None
    except (ValueError, RecursionError):
        message = (
            "it is JSON that can't be read: it has thousands of digits in a number, or thousands of brackets."
        )
        raise UnreadableError(message) from None
    if not isinstance(value, dict):
        message = (
            'it is JSON but not an object: write {"customerId": ...} or {"eventname": ...}, one on each line.'
        )
        raise UnreadableError(message)
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        message = "it names a field twice, so it is unclear which value is meant."
        raise UnreadableError(message)
    return found


def _refuse_constant(_name: str) -> None:
    message = "it contains NaN or Infinity, which JSON does not allow."
    raise UnreadableError(message)


def _entry(lines: Sequence[Line], fields: dict[str, Any]) -> Entry:
    return Entry(lines[0].number, lines[-1].number, lines[-1].end, text_of(lines), fields)


def _unread(lines: Sequence[Line], error: PayloadError) -> Entry:
    return Entry(lines[0].number, lines[-1].number, lines[-1].end, text_of(lines), {}, error)


def text_of(lines: Sequence[Line]) -> str:
    """Return the text of some lines, for a person to correct. Bytes that are not UTF-8 become hex escapes."""
    text = b"".join(line.content for line in lines).decode(errors="backslashreplace").rstrip("\r\n")
    return text[:EXCERPT_CHARACTERS] if any(line.is_too_long for line in lines) else text


def _too_long() -> UnreadableError:
    message = f"it is longer than {MAX_BYTES:,} bytes, and no record is: look for a missing end of line."
    return UnreadableError(message)


def _unclosed(line: Line) -> UnreadableError:
    if line.is_too_long:
        return _too_long()
    message = (
        f"a quotation mark opens a cell, and no quotation mark within {MAX_BYTES:,} bytes closes it to make a record. Add "
        "the closing mark, or double the mark. The lines after this one are read separately."
    )
    return UnreadableError(message)


def _why_no_csv(error: Exception) -> UnreadableError:
    if isinstance(error, UnreadableError):
        return error
    if isinstance(error, UnicodeDecodeError):
        return _no_utf8(error)
    message = f"it is not CSV: {error}. Quote cells that contain commas, quotation marks or line breaks."
    return UnreadableError(message)


def _no_utf8(error: UnicodeDecodeError) -> UnreadableError:
    return UnreadableError(f"byte {error.start + 1} is not UTF-8: save the file as UTF-8.")
