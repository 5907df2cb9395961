"""Lines of a file, with their numbers and offsets, and with a maximum length. The content is not examined here."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import BinaryIO, Final, NamedTuple

# No record of a customer or an activity is longer: a batch of 500 records has 256 KiB.
MAX_BYTES: Final = 65_536
# A file with no end of line within so many bytes is not a file of lines.
ENDLESS_BYTES: Final = 64 * 1024 * 1024
_BOM: Final = b"\xef\xbb\xbf"


class Line(NamedTuple):
    """
    One line of a file.

    `number` counts from 1. `end` is the offset after the line. If `is_too_long`, only the beginning is kept.
    """

    number: int
    end: int
    content: bytes
    is_too_long: bool = False


class EndlessLineError(ValueError):
    """A line is so long that this can't be a file of lines."""


class Lines:
    """The lines of a binary file from an offset on, one at a time. Lines that were taken too early can be put back."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._returned: deque[Line] = deque()
        self._number = 0
        self._end = 0

    def go_to(self, *, offset: int, number: int) -> None:
        """Continue after the line with this number, which ends at this offset."""
        self._returned.clear()
        self._file.seek(offset)
        self._end, self._number = offset, number

    def read(self) -> Line | None:
        """
        Return the next line, None after the last one.

        Raises:
            EndlessLineError: The line has no end within the maximum.
        """
        if self._returned:
            return self._returned.popleft()
        content = self._file.readline(MAX_BYTES + 1)
        if not content:
            return None
        length = len(content)
        is_too_long = length > MAX_BYTES
        if is_too_long and not content.endswith(b"\n"):
            length += self._skip()
        self._number += 1
        self._end += length
        if self._number == 1:
            content = content.removeprefix(_BOM)
        return Line(self._number, self._end, content, is_too_long)

    def put_back(self, lines: Iterable[Line]) -> None:
        """Put lines back: they are read again, in this order, before all others."""
        self._returned.extendleft(reversed(tuple(lines)))

    def _skip(self) -> int:
        """Skip the rest of a line; return how many bytes it had."""
        skipped = 0
        while rest := self._file.readline(MAX_BYTES):
            skipped += len(rest)
            if rest.endswith(b"\n"):
                break
            if skipped > ENDLESS_BYTES:
                message = f"line {self._number + 1} has no end within {ENDLESS_BYTES // 1024 // 1024} MiB"
                raise EndlessLineError(message)
        return skipped
