"""Sources: open the files of the command line, recognise their formats, and put them in order."""

from __future__ import annotations

import fcntl
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from django.core.management import CommandError

from track360_django.history.file_import.formats import Format, Kind, UnknownFormatError, recognise
from track360_django.history.file_import.lines import EndlessLineError, Lines

STANDARD_INPUT: Final = "-"
_ORDER: Final[Sequence[Kind]] = ("customers", "activities")
_BUFFER_BYTES: Final = 1 << 18


@dataclass(frozen=True, kw_only=True)
class Source:
    """One file with customers or activities. `size` is None for standard input, `format` is None for an empty file."""

    name: str
    lines: Lines
    format: Format | None
    size: int | None

    @property
    def path(self) -> Path | None:
        """The path of the file, None for standard input."""
        return None if self.size is None else Path(self.name)


def open_all(names: Sequence[str], stack: ExitStack, *, is_locked: bool) -> list[Source]:
    """
    Return the files that are not empty, customers first.

    Raises:
        CommandError: A file can't be opened, holds neither customers nor activities, or is being imported.
    """
    if len(set(names)) < len(names):
        message = "A file is named twice. Name each file once."
        raise CommandError(message, returncode=2)
    sources = [_open(name, stack, is_locked=is_locked) for name in names]
    filled = [source for source in sources if source.format is not None]
    return sorted(filled, key=lambda source: _ORDER.index(source.format.kind) if source.format else 0)


def _open(name: str, stack: ExitStack, *, is_locked: bool) -> Source:
    file, size = _file_of(name, stack)
    if is_locked and size is not None:
        _lock(file, name)
    lines = Lines(file)
    try:
        found = recognise(lines)
    except (UnknownFormatError, EndlessLineError) as error:
        message = f"{_shown(name)} can't be imported. Nothing was imported. Reason: {error}"
        raise CommandError(message, returncode=2) from None
    return Source(name=name, lines=lines, format=found, size=size)


def _file_of(name: str, stack: ExitStack) -> tuple[BinaryIO, int | None]:
    if name == STANDARD_INPUT:
        return sys.stdin.buffer, None
    path = Path(name)
    try:
        if not path.is_file():
            message = f"{name} is not a file. Name a CSV or JSONL file, or - for standard input."
            raise CommandError(message, returncode=2)
        file = stack.enter_context(path.open("rb", buffering=_BUFFER_BYTES))
    except OSError as error:
        message = f"{name} can't be read: {error.strerror}."
        raise CommandError(message, returncode=2) from None
    return file, path.stat().st_size


def _lock(file: BinaryIO, name: str) -> None:
    """Prevent a second import of the same file. The lock ends with the process, also if it is killed."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        message = f"{name} is being imported by another process. Wait for it, or stop it."
        raise CommandError(message, returncode=1) from None
    except OSError:
        # A file system without locks. Two imports at once are harmless, but both write to the list of bad lines.
        return


def _shown(name: str) -> str:
    return "standard input" if name == STANDARD_INPUT else name
