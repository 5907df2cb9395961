"""The import of one file: batch after batch is committed, then noted, until the file ends or a stop is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final, cast

from django.core.management.base import CommandError, OutputWrapper

from track360_django.history.file_import import writing
from track360_django.history.file_import.entries import Entry
from track360_django.history.file_import.formats import Format
from track360_django.history.file_import.journal import Aside, Journal, Place
from track360_django.history.file_import.outcome import BadLine, Counts, Outcome
from track360_django.history.file_import.sources import Source
from track360_django.history.preview import Newcomers
from track360_django.history.progress import Meter, Pace, forget_queries
from track360_django.history.stopping import Stop

BATCH: Final = 1000
# Of standard input nobody knows where it is.
ASIDE: Final = Path("standard-input.bad.jsonl")

_WRITE: Final = {"customers": writing.write_customers, "activities": writing.write_activities}
_SHOW: Final = {"customers": writing.preview_customers, "activities": writing.preview_activities}


class Interrupted(Exception):  # noqa: N818  it is none: a person asked for it
    """A person asked for a stop; the message says how to go on."""


@dataclass(frozen=True, kw_only=True)
class FileImport:
    """One file on its way into the tables. Results go to `out`, what a person wants to know meanwhile to `told`."""

    source: Source
    brand: str
    out: OutputWrapper
    told: OutputWrapper
    pace: Pace
    stop: Stop

    @property
    def name(self) -> str:
        """What the file is called in messages."""
        return "standard input" if self.source.size is None else self.source.name

    def write(self, *, is_restart: bool) -> list[str]:
        """
        Write the file down; return what needs a person.

        Raises:
            Interrupted: A stop was asked for.
            CommandError: Nothing can be written beside the file.
        """
        journal, place = self._begin(is_restart=is_restart)
        meter = Meter(self.told, self.name, self.source.size, done=place.offset)
        try:
            for batch in self._batches():
                self._tell_doubtful(batch, place.counts)
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
            place.counts, f"They are in {journal.bad_path}, with the reasons and their text"
        )

    def forget(self) -> None:
        """Remove what was remembered to go on with: all files of the command are imported."""
        if self.source.path is not None:
            Journal(self.source.path, brand=self.brand).forget()

    def show(self, newcomers: Newcomers) -> list[str]:
        """Print what would be sent of the file; return what needs a person. Nothing is written."""
        counts = Counts()
        meter = Meter(self.told, self.name, self.source.size)
        show = _SHOW[self._format.kind]
        for batch in self._batches():
            self._tell_doubtful(batch, counts)
            outcome, bodies = show(batch, self.brand, newcomers)
            forget_queries()
            self.out.writelines(f"{body}\n" for body in bodies)
            self.told.writelines(f"{self.name}, {_told(bad)}\n" for bad in outcome.bad)
            counts.add(outcome.counts)
            meter.show(batch[-1].end, counts.read)
            if self.stop.is_wanted:
                message = "Stopped. Nothing was written."
                raise Interrupted(message)
            self.pace.wait(len(batch))
        meter.end()
        self.told.writelines(f"{self.name}, dry run: {line}\n" for line in self._summary(counts))
        return self._problems(counts, "They are listed above, with the reasons")

    @property
    def _format(self) -> Format:
        # Empty files are left out before.
        return cast("Format", self.source.format)

    def _batches(self) -> Iterator[list[Entry]]:
        entries = self._format.entries(self.source.lines)
        while batch := list(islice(entries, self.pace.width(BATCH))):
            yield batch

    def _commit(self, batch: list[Entry]) -> Outcome:
        outcome = _WRITE[self._format.kind](batch, self.brand)
        forget_queries()
        return outcome

    def _begin(self, *, is_restart: bool) -> tuple[Journal | Aside, Place]:
        path = self.source.path
        if path is None:
            self._tell(
                "can't be gone on with after a stop: what is in it must be given again, which is harmless."
            )
            return Aside(ASIDE), Place()
        journal = Journal(path, brand=self.brand)
        try:
            place = Place() if is_restart else self._place_in(journal)
            journal.begin(place)
        except OSError as error:
            if not path.exists():
                message = f"{self.name} is gone: give it again. What was read of other files is written down."
                raise CommandError(message, returncode=1) from None
            message = (
                f"{journal.progress_path} can't be written ({error.strerror}), and nothing was imported: how far the "
                "import is, and the bad lines, are kept beside the file. Copy it into a folder of yours."
            )
            raise CommandError(message, returncode=2) from None
        return journal, place

    def _place_in(self, journal: Journal) -> Place:
        """Return where to go on, which is the beginning where anything is not as an earlier start left it."""
        place = journal.read()
        if place is None:
            if journal.is_left():
                self._tell(
                    "(or the database) is not what it was when an earlier import of it stopped: it is imported from the "
                    "beginning."
                )
            return Place()
        if not writing.are_there(self._format.kind, place.sample, self.brand):
            self._tell(
                "was imported in part, and what was written then is not in this database (was it restored from a backup?): "
                "it is imported from the beginning."
            )
            return Place()
        if place.offset:
            self.source.lines.go_to(offset=place.offset, number=place.line)
            self._tell(f"goes on behind line {place.line:,}.")
        return place

    def _save(self, journal: Journal | Aside, place: Place, outcome: Outcome) -> None:
        try:
            journal.save(place, outcome.bad)
        except OSError as error:
            message = (
                f"{self.name}: how far the import is can't be noted any more ({error.strerror}). What was read until line "
                f"{place.line:,} is written down. Start the same command again: what is there is recognised."
            )
            raise CommandError(message, returncode=1) from None

    def _tell_doubtful(self, batch: list[Entry], before: Counts) -> None:
        """Name the first record that may have swallowed others; all are counted at the end."""
        first = next((entry for entry in batch if entry.is_doubtful), None)
        if first is not None and not before.doubtful:
            self._tell(
                f"has one record in lines {first.number:,} to {first.last:,}: is a quotation mark lost there?"
            )

    def _tell(self, sentence: str) -> None:
        self.told.write(f"{self.name} {sentence}", style_func=str)

    def _how_to_go_on(self, place: Place) -> str:
        if self.source.path is None:
            return f"Stopped behind line {place.line:,}. What was read is written down; give the input again for the rest."
        return (
            f"Stopped behind line {place.line:,} of {self.name}. What was read is written down: start the same command "
            f"again to go on there, or add --restart to begin anew."
        )

    def _summary(self, counts: Counts) -> Iterator[str]:
        kind = self._format.kind
        yield (
            f"{counts.read} {kind} read: {counts.new} new, {counts.changed} changed, {counts.unchanged} known, "
            f"{counts.bad} not reported"
        )
        if counts.undated:
            yield f"without a time, dated by the import: {counts.undated} (API guide, Field definitions)"
        if counts.doubtful:
            yield (
                f"records over several lines with a {self._format.delimiter!r} within such a cell: {counts.doubtful}. A lost "
                "quotation mark looks the same, and swallows the lines up to the next one: look at them"
            )
        if counts.held:
            yield f"held until somebody reports their customers: {counts.held} (UNKNOWN_CUSTOMERS)"

    def _problems(self, counts: Counts, where: str) -> list[str]:
        if not counts.bad:
            return []
        other = f", {counts.other} of them with the eventid of another activity" if counts.other else ""
        problem = (
            f"{self.name}: lines that can't be reported as they are: {counts.bad}{other}. {where}: correct them, and "
            "import them again. All other lines were read as they stand there."
        )
        return [problem]


def _told(bad: BadLine) -> str:
    return f"line {bad.entry.number}: {bad.reason}: {bad.message}"
