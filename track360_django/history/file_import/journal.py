"""
The journal of an import: two files beside the input, so that the import continues after a kill where it was.

`<file>.progress` holds the position. It is replaced as a whole after each commit. `<file>.bad.jsonl` holds the lines that
could not be reported. If a batch was committed but its position was not saved, it is read again, which is harmless. The
file of bad lines is then cut back to the saved position, so that no line is in it twice.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, Final

from django.db import connections, router

from track360_django.history.file_import.outcome import BadLine, Counts
from track360_django.models import Activity

# How much of a file is hashed to recognise its content, besides its size and its time.
FIRST_BLOCK_BYTES: Final = 65_536
# Bad lines are personal data.
PRIVATE: Final = 0o600


@dataclass(kw_only=True)
class Place:
    """
    The position of an import: the last line that was read, the offset after it, and the counts of the lines so far.

    `sample` has the ids of some records from the last batch that wrote records.
    """

    offset: int = 0
    line: int = 0
    bad_bytes: int = 0
    counts: Counts = field(default_factory=Counts)
    sample: list[list[str]] = field(default_factory=list)


class Journal:
    """The saved state of the import of one file."""

    def __init__(self, path: Path, *, brand: str) -> None:
        self.progress_path = path.with_name(f"{path.name}.progress")
        self.bad_path = path.with_name(f"{path.name}.bad.jsonl")
        self._path = path
        self._brand = brand
        self._bad: BinaryIO | None = None

    @cached_property
    def _input(self) -> dict[str, Any]:
        return {**_content_of(self._path), "brand": self._brand, "database": _database()}

    def read(self) -> Place | None:
        """
        Return the position of an earlier start with the same content and database, None if there was no such start.

        Raises:
            OSError: The file no longer exists.
        """
        wanted = self._input
        try:
            noted = json.loads(self.progress_path.read_bytes())
            counts = Counts(**noted["counts"])
            place = Place(
                offset=int(noted["offset"]),
                line=int(noted["line"]),
                bad_bytes=int(noted["bad_bytes"]),
                counts=counts,
                sample=noted["sample"],
            )
        except (OSError, ValueError, TypeError, KeyError):
            return None
        return place if noted.get("input") == wanted else None

    def is_left(self) -> bool:
        """Return whether an earlier start left a position, for any content."""
        return self.progress_path.exists()

    def begin(self, place: Place) -> None:
        """
        Begin at a position. Bad lines after it are removed from the list, because they will be found again.

        Raises:
            OSError: The folder of the file can't be written to.
        """
        if self.bad_path.exists():
            os.truncate(self.bad_path, min(place.bad_bytes, self.bad_path.stat().st_size))
        self._note(place)

    def save(self, place: Place, bad: Iterable[BadLine]) -> None:
        """Save the bad lines of a committed batch, then the position."""
        for each in bad:
            self._write_bad(each)
        if self._bad is not None:
            self._bad.flush()
            place.bad_bytes = self._bad.tell()
        self._note(place)

    def close(self) -> None:
        """Close the files, and remove an empty list of bad lines."""
        if self._bad is not None:
            self._bad.close()
            self._bad = None
        if self.bad_path.exists() and not self.bad_path.stat().st_size:
            self.bad_path.unlink()

    def forget(self) -> None:
        """Remove the saved position."""
        self.progress_path.unlink(missing_ok=True)

    def _note(self, place: Place) -> None:
        noted = {**asdict(place), "input": self._input}
        fresh = self.progress_path.with_name(f"{self.progress_path.name}.new")
        with _open_private(fresh, os.O_TRUNC) as file:
            file.write(json.dumps(noted).encode())
        fresh.replace(self.progress_path)

    def _write_bad(self, bad: BadLine) -> None:
        if self._bad is None:
            self._bad = _open_private(self.bad_path, os.O_APPEND)
            self._bad.seek(0, os.SEEK_END)
        self._bad.write(line_of(bad))


class Aside:
    """The list of bad lines of standard input, in the current directory. No position is saved."""

    def __init__(self, bad_path: Path) -> None:
        self.bad_path = bad_path
        bad_path.unlink(missing_ok=True)

    def save(self, _place: Place, bad: Iterable[BadLine]) -> None:
        """Write the bad lines of a batch."""
        lines = [line_of(each) for each in bad]
        if lines:
            with _open_private(self.bad_path, os.O_APPEND) as file:
                file.writelines(lines)

    def close(self) -> None:
        """Do nothing: each batch closed it."""


def line_of(bad: BadLine) -> bytes:
    """Return a bad line as a line of JSON: its number, why it was not reported, and its text for correction."""
    found: Mapping[str, Any] = {
        "line": bad.entry.number,
        "reason": bad.reason,
        "message": bad.message,
        "text": bad.entry.text,
    }
    # Half a surrogate pair can't be UTF-8: it becomes an escape, as in JSON.
    return json.dumps(found, ensure_ascii=False).encode(errors="backslashreplace") + b"\n"


def _database() -> list[str]:
    """Return the settings that identify a database: an import into staging is not an import into production."""
    alias = router.db_for_write(Activity)
    settings = connections[alias].settings_dict
    return [alias, *(str(settings[name]) for name in ("ENGINE", "NAME", "HOST", "PORT"))]


def _content_of(path: Path) -> dict[str, Any]:
    stat = path.stat()
    with path.open("rb") as file:
        digest = hashlib.sha256(file.read(FIRST_BLOCK_BYTES)).hexdigest()
    return {"size": stat.st_size, "modified_ns": stat.st_mtime_ns, "first_block_sha256": digest}


def _open_private(path: Path, flag: int) -> BinaryIO:
    """Open a new or an existing file for writing, readable by its owner only."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | flag, PRIVATE)
    os.fchmod(descriptor, PRIVATE)
    return os.fdopen(descriptor, "wb")
