"""What the processes of a run have written: which tests there are, and what became of each."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.suite.durations import module_of


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A test that has ended: "passed", "failed" or "skipped", and why if it did not pass."""

    database: str
    id: str
    outcome: str
    text: str
    seconds: float
    cpu: float


@dataclass(kw_only=True)
class ProcessEvents:
    """One process: the file it writes to, and what was read of it so far."""

    database: str
    path: Path
    tests: int | None = None
    digest: str = ""
    running: str = ""
    _offset: int = 0

    def read(self) -> Iterator[Ended]:
        """Yield the tests that have ended since the last look."""
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            file.seek(self._offset)
            for line in file:
                if not line.endswith(b"\n"):
                    # It is being written.
                    break
                self._offset += len(line)
                yield from self._note(json.loads(line))

    def _note(self, event: dict[str, Any]) -> Iterator[Ended]:
        kind = event.pop("kind")
        if kind == "collected":
            self.tests, self.digest = event["tests"], event["digest"]
        elif kind == "begun":
            self.running = event["id"]
        else:
            self.running = ""
            yield Ended(database=self.database, **event)


@dataclass(kw_only=True)
class Results:
    """All that a run knows by now of the tests on one database."""

    database: str
    processes: list[ProcessEvents]
    ended: dict[str, Ended] = field(default_factory=dict)
    # Tests that ran twice: they would be counted once.
    repeated: list[str] = field(default_factory=list)

    def read(self) -> None:
        """Read what is new."""
        for process in self.processes:
            for each in process.read():
                if each.id in self.ended:
                    self.repeated.append(each.id)
                self.ended[each.id] = each

    @property
    def collected(self) -> int | None:
        """How many tests there are; None as long as no process has said so."""
        return max((process.tests for process in self.processes if process.tests is not None), default=None)

    def with_outcome(self, outcome: str) -> list[Ended]:
        """Return the tests that ended in one way."""
        return [each for each in self.ended.values() if each.outcome == outcome]

    def seconds_by_module(self) -> dict[str, float]:
        """Return how long each module took."""
        found: dict[str, float] = {}
        for each in self.ended.values():
            module = module_of(each.id)
            found[module] = found.get(module, 0.0) + each.seconds
        return found

    def faults(self) -> Iterator[str]:
        """Say what is wrong with the run itself, one sentence each; nothing when each test ran once."""
        for process in self.processes:
            if process.running:
                yield f"{self.database}: a process ended while {process.running} ran."
        if len({process.digest for process in self.processes if process.digest}) > 1:
            yield (
                f"{self.database}: the processes collected different tests. Look for test ids that change from process "
                "to process: the time, a set, the address of an object."
            )
        if self.repeated:
            yield f"{self.database}: {len(self.repeated)} tests ran twice, the first is {self.repeated[0]}."
        missing = (self.collected or 0) - len(self.ended)
        if missing:
            yield f"{self.database}: {missing} of {self.collected} tests did not run."
