"""The import of one file: commit a batch, save the position, until the file ends or a stop is requested."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final, cast

from django.core.management.base import CommandError, OutputWrapper

from track360_django.history.file_import import writing
from track360_django.history.file_import.entries import Entry
from track360_django.history.file_import.fields import Reading
from track360_django.history.file_import.formats import Format
from track360_django.history.file_import.journal import Aside, Journal, Place
from track360_django.history.file_import.outcome import BadLine, Counts, Outcome
from track360_django.history.file_import.sources import Source
from track360_django.history.preview import Newcomers
from track360_django.history.progress import Meter, Pace, forget_queries
from track360_django.history.stopping import Stop

BATCH: Final = 1000
# Standard input has no folder of its own: its bad lines go into the current directory.
ASIDE: Final = Path("standard-input.bad.jsonl")

_WRITE: Final = {"customers": writing.write_customers, "activities": writing.write_activities}
_SHOW: Final = {"customers": writing.preview_customers, "activities": writing.preview_activities}


class Interrupted(Exception):  # noqa: N818  not an error: a person requested it
    """A person stopped the import. The message says how to continue."""


@dataclass(frozen=True, kw_only=True)
class FileImport:
    """The import of one file. Results are written to `out`, progress and notices for a person to `notices`."""

    source: Source
    reading: Reading
    out: OutputWrapper
    notices: OutputWrapper
    pace: Pace
    stop: Stop

    @property
    def name(self) -> str:
        """The name of the file in messages."""
        return "standard input" if self.source.size is None else self.source.name

    def write(self, *, is_restart: bool) -> list[str]:
        """
        Import the file; return the problems that need a person.

        Raises:
            Interrupted: A stop was requested.
            CommandError: The folder of the file can't be written to.
        """
        journal, place = self._begin(is_restart=is_restart)
        meter = Meter(self.notices, self.name, self.source.size, done=place.offset)
        try:
            for batch in self._batches():
                self._report_doubtful(batch, place.counts)
                outcome = self._commit(batch)
                place.counts.add(outcome.counts)
                place.offset, place.line = batch[-1].end, batch[-1].last
                place.sample = outcome.sample or place.sample
                self._save(journal, place, outcome)
                meter.show(place.offset, place.counts.read)
                if self.stop.is_wanted:
                    raise Interrupted(self._how_to_go_on(place))
                self.pace.wait(len(batch))
        finally:
            meter.end()
            journal.close()
        self.out.writelines(f"{self.name}: {line}\n" for line in self._summary(place.counts))
        return self._problems(
            place.counts, f"They are in {journal.bad_path}, with their text and the reasons"
        )

    def forget(self) -> None:
        """Remove the saved position, after all files of the command are imported."""
        if self.source.path is not None:
            Journal(self.source.path, brand=self.reading.brand).forget()

    def show(self, newcomers: Newcomers) -> list[str]:
        """Print the JSON that would be sent; return the problems that need a person. Nothing is recorded."""
        counts = Counts()
        meter = Meter(self.notices, self.name, self.source.size)
        show = _SHOW[self._format.kind]
        for batch in self._batches():
            self._report_doubtful(batch, counts)
            outcome, bodies = show(batch, self.reading, newcomers)
            forget_queries()
            self.out.writelines(f"{body}\n" for body in bodies)
            self.notices.writelines(f"{self.name}, {_line_of(bad)}\n" for bad in outcome.bad)
            counts.add(outcome.counts)
            meter.show(batch[-1].end, counts.read)
            if self.stop.is_wanted:
                message = "Stopped. Nothing was written."
                raise Interrupted(message)
            self.pace.wait(len(batch))
        meter.end()
        self.notices.writelines(f"{self.name}, dry run: {line}\n" for line in self._summary(counts))
        return self._problems(counts, "They are listed above, with the reasons")

    @property
    def _format(self) -> Format:
        # Empty files are left out earlier.
        return cast("Format", self.source.format)

    def _batches(self) -> Iterator[list[Entry]]:
        entries = self._format.entries(self.source.lines)
        while batch := list(islice(entries, self.pace.width(BATCH))):
            yield batch

    def _commit(self, batch: list[Entry]) -> Outcome:
        outcome = _WRITE[self._format.kind](batch, self.reading)
        forget_queries()
        return outcome

    def _begin(self, *, is_restart: bool) -> tuple[Journal | Aside, Place]:
        path = self.source.path
        if path is None:
            self._notify(
                "can't be continued after a stop. After a stop, give the whole input again: this is harmless."
            )
            return Aside(ASIDE), Place()
        journal = Journal(path, brand=self.reading.brand)
        try:
            place = Place() if is_restart else self._place_in(journal)
            journal.begin(place)
        except OSError as error:
            if not path.exists():
                message = f"{self.name} no longer exists: provide it again. The lines read from other files are imported."
                raise CommandError(message, returncode=1) from None
            message = (
                f"{journal.progress_path} can't be written ({error.strerror}), so nothing was imported. The position and "
                "the bad lines are kept beside the file. Copy the file into a folder that you can write to."
            )
            raise CommandError(message, returncode=2) from None
        return journal, place

    def _place_in(self, journal: Journal) -> Place:
        """Return the position to continue from. If anything has changed since the earlier start, it is the beginning."""
        place = journal.read()
        if place is None:
            if journal.is_left():
                self._notify(
                    "(or the database) has changed since an earlier import of it stopped. It is imported from the "
                    "beginning."
                )
            return Place()
        if not writing.are_there(self._format.kind, place.sample, self.reading.brand):
            self._notify(
                "was imported in part, but those records are not in this database (was it restored from a backup?). "
                "It is imported from the beginning."
            )
            return Place()
        if place.offset:
            self.source.lines.go_to(offset=place.offset, number=place.line)
            self._notify(f"continues after line {place.line:,}.")
        return place

    def _save(self, journal: Journal | Aside, place: Place, outcome: Outcome) -> None:
        try:
            journal.save(place, outcome.bad)
        except OSError as error:
            message = (
                f"{self.name}: the position of the import can't be saved any more ({error.strerror}). The lines up to line "
                f"{place.line:,} are imported. Run the same command again: it skips what is imported."
            )
            raise CommandError(message, returncode=1) from None

    def _report_doubtful(self, batch: list[Entry], before: Counts) -> None:
        """Name the first record that may have swallowed others. The count of all is printed at the end."""
        first = next((entry for entry in batch if entry.is_doubtful), None)
        if first is not None and not before.doubtful:
            self._notify(
                f"has one record in lines {first.number:,} to {first.last:,}: is a quotation mark missing there?"
            )

    def _notify(self, sentence: str) -> None:
        self.notices.write(f"{self.name} {sentence}", style_func=str)

    def _how_to_go_on(self, place: Place) -> str:
        if self.source.path is None:
            return f"Stopped after line {place.line:,}. The lines up to it are imported. Give the input again for the rest."
        return (
            f"Stopped after line {place.line:,} of {self.name}. The lines up to it are imported. Run the same command "
            f"again to continue there, or add --restart to start at the beginning."
        )

    def _summary(self, counts: Counts) -> Iterator[str]:
        kind = self._format.kind
        yield (
            f"{counts.read} {kind} read: {counts.new} new, {counts.changed} changed, {counts.unchanged} known, "
            f"{counts.bad} not reported"
        )
        if counts.undated:
            yield f"without a time, dated with the time of the import: {counts.undated} (API guide, Field definitions)"
        if counts.doubtful:
            yield (
                f"records with a cell that contains a line break and a {self._format.delimiter!r}: {counts.doubtful}. A "
                "missing quotation mark has the same effect and swallows the lines up to the next mark: check them"
            )
        if counts.held:
            yield f"held until their customers are reported: {counts.held} (UNKNOWN_CUSTOMERS)"

    def _problems(self, counts: Counts, where: str) -> list[str]:
        if not counts.bad:
            return []
        other = f", {counts.other} of them with the eventid of another activity" if counts.other else ""
        problem = (
            f"{self.name}: lines that can't be reported: {counts.bad}{other}. {where}. Correct them and import them "
            "again. All other lines were read as they are."
        )
        return [problem]


def _line_of(bad: BadLine) -> str:
    return f"line {bad.entry.number}: {bad.reason}: {bad.message}"
