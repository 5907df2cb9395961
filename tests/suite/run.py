"""A run of the suite: some processes for each database, watched until they end, then summed up."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from example_project.processes import Process, private_directory, spawn
from tests import preparation
from tests.suite import durations, summary
from tests.suite.division import COUNTER
from tests.suite.events import ProcessEvents, Results
from tests.suite.progress import Progress

ROOT: Final = Path(__file__).resolve().parents[2]
# Two each: while one waits for a server or a child, the other computes.
PROCESSES: Final = 2
POLL_SECONDS: Final = 0.2
# Of pytest: all passed, some failed, interrupted, no tests.
PASSED, FAILED, INTERRUPTED, NO_TESTS = 0, 1, 2, 5
LOG_LINES: Final = 40


@dataclass(kw_only=True)
class Started:
    """One process of a run."""

    database: str
    process: Process
    events: ProcessEvents


@dataclass(kw_only=True)
class Run:
    """
    The suite on some databases.

    Args:
        databases: Names that `--database` of the tests takes.
        arguments: Further arguments for pytest.
        pytest: What Python is told to run.
        processes: How many for each database; the first of several has one more, for it has more to do.
        is_preparing: Whether what some tests need beside the environment is fetched from the first second on.
        is_recording: Whether the measured durations are written down for the next runs.
    """

    databases: Sequence[str]
    arguments: Sequence[str] = ()
    pytest: Sequence[str] = ("-m", "pytest")
    processes: int = PROCESSES
    is_preparing: bool = True
    is_recording: bool = False
    root: Path = ROOT
    _started: list[Started] = field(default_factory=list)

    def run(self) -> int:
        """Run all tests and print what became of them; return pytest's exit code for the whole."""
        began = time.monotonic()
        seed = random.SystemRandom().randrange(2**32)
        fetching = preparation.in_background() if self.is_preparing else contextlib.nullcontext()
        with private_directory() as folder, fetching:
            results = [self._begin(folder, database, seed) for database in self.databases]
            try:
                self._watch(results)
            except KeyboardInterrupt:
                self._interrupt(results)
            return self._sum_up(results, seed, time.monotonic() - began)

    def _begin(self, folder: Path, database: str, seed: int) -> Results:
        meeting = folder / database
        meeting.mkdir()
        (meeting / COUNTER).touch()
        own: list[ProcessEvents] = []
        for number in range(1, self._processes_for(database) + 1):
            name = f"{database}-{number}"
            events = ProcessEvents(database=database, path=meeting / f"{name}.jsonl")
            own.append(events)
            process = spawn(
                self._command(database, meeting, name, seed),
                env=environment(),
                log=folder / f"{name}.log",
                cwd=self.root,
            )
            self._started.append(Started(database=database, process=process, events=events))
        return Results(database=database, processes=own)

    def _processes_for(self, database: str) -> int:
        """Return how many processes a database has; the first of several runs what knows no database, too."""
        has_more = len(self.databases) > 1 and self.processes > 1 and database == self.databases[0]
        return self.processes + has_more

    def _command(self, database: str, meeting: Path, name: str, seed: int) -> list[str]:
        once = ["--once"] if database != self.databases[0] else []
        seeded = [] if any("randomly" in each for each in self.arguments) else [f"--randomly-seed={seed}"]
        return [
            sys.executable,
            *self.pytest,
            *("-p", "tests.suite.division"),
            f"--database={database}",
            f"--suite-folder={meeting}",
            f"--suite-process={name}",
            *once,
            *seeded,
            *self.arguments,
        ]

    def _watch(self, results: Sequence[Results]) -> None:
        progress = Progress(results, sys.stdout)
        while any(each.process.is_running for each in self._started):
            for each in results:
                each.read()
            progress.show()
            time.sleep(POLL_SECONDS)
        for each in results:
            each.read()
        progress.show()
        progress.end()

    def _interrupt(self, results: Sequence[Results]) -> None:
        """End all processes as Ctrl-C would, and read what they had done."""
        say("\nInterrupted.")
        for each in self._started:
            each.process.terminate(with_signal=signal.SIGINT)
        for result in results:
            result.read()

    def _sum_up(self, results: Sequence[Results], seed: int, seconds: float) -> int:
        codes = [each.process.wait() for each in self._started]
        faults = [fault for each in results for fault in each.faults()]
        faults += self._broken_processes(results)
        say(*summary.failures(results), "", *summary.slowest(results))
        if self.is_recording and not faults:
            durations.record({each.database: each.seconds_by_module() for each in results})
        say(f"random seed {seed}: repeat the order with -p randomly --randomly-seed={seed}")
        say(*faults, *map(summary.counts, results))
        code = exit_code(
            codes, has_failed=any(each.with_outcome("failed") for each in results), has_faults=bool(faults)
        )
        say(summary.last_line(results, seconds, is_good=code == PASSED))
        return code

    def _broken_processes(self, results: Sequence[Results]) -> list[str]:
        """Name processes that ended as pytest does not, with the end of what they wrote."""
        found = []
        for each in self._started:
            code = each.process.wait()
            has_failed = any(one.with_outcome("failed") for one in results if one.database == each.database)
            if code not in {PASSED, NO_TESTS} and not (code == FAILED and has_failed):
                found.append(
                    f"{each.events.path.stem}: ended with code {code}; it wrote at last:\n{each.process.log_tail(LOG_LINES)}"
                )
        return found


def say(*lines: str) -> None:
    """Print some lines at once, also where one holds what no terminal can show."""
    text = "".join(f"{line}\n" for line in lines)
    sys.stdout.write(text.encode(errors="backslashreplace").decode())
    sys.stdout.flush()


def environment() -> dict[str, str]:
    """Return the environment of a process of the run; its children would compile our modules anew without bytecode."""
    unwanted = {"DJANGO_SETTINGS_MODULE", "PYTHONDONTWRITEBYTECODE"}
    return {name: value for name, value in os.environ.items() if name not in unwanted}


def exit_code(codes: Sequence[int], *, has_failed: bool, has_faults: bool) -> int:
    """Return the code of the whole: an interruption wins over failures, failures over faults of the run itself."""
    if INTERRUPTED in codes:
        return INTERRUPTED
    if has_failed or has_faults:
        return FAILED
    return NO_TESTS if all(code == NO_TESTS for code in codes) else PASSED
