"""`manage.py test`: the whole pytest suite, on SQLite and on Postgres, side by side."""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from example_project.processes import dying_with_parent

DATABASES = ("sqlite", "postgres")
PYTEST_INTERRUPTED, PYTEST_NO_TESTS = 2, 5
# Arguments of pytest that talk to a person, or name a folder for one run: with these, one run comes after the other.
ALONE = ("--pdb", "--trace", "--basetemp")
POLL_SECONDS = 0.2
RESULTS = {0: "passed", PYTEST_INTERRUPTED: "interrupted", PYTEST_NO_TESTS: "no tests"}


class Command(BaseCommand):
    """Runs pytest instead of Django's own test runner."""

    help = "Run the test suite with pytest; arguments not listed here go to pytest, such as -k or a path."
    requires_system_checks = ()

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add what is ours; everything else is pytest's."""
        parser.add_argument(
            "--database",
            choices=(*DATABASES, "all"),
            default="all",
            help="Where the tests run; default: all, side by side. An exported DATABASE_URL wins.",
        )
        parser.add_argument(
            "--coverage", action="store_true", help="Measure branch coverage and print the table."
        )

    def run_from_argv(self, argv: list[str]) -> None:
        """Split the arguments: Django's own way of reading them refuses what it does not know."""
        parser = self.create_parser(argv[0], argv[1])
        options, pytest_arguments = parser.parse_known_args(argv[2:])
        sys.exit(self.handle(*pytest_arguments, database=options.database, coverage=options.coverage))

    def handle(self, *pytest_arguments: str, **options: Any) -> Any:
        """Run the suite on each database and return the exit code: that of the first run that failed, else 0."""
        databases = chosen_databases(options["database"])
        commands = [
            pytest_command(database, pytest_arguments, coverage=options["coverage"]) for database in databases
        ]
        headings = [self.style.MIGRATE_HEADING(f"The suite on {database}") for database in databases]
        run = run_in_turn if must_run_alone(pytest_arguments) else run_side_by_side
        codes = run(commands, headings)
        if options["coverage"]:
            report_coverage()
        if len(databases) > 1:
            self.stdout.write(summary(databases, codes))
        return exit_code(codes)


def chosen_databases(choice: str) -> Sequence[str]:
    """Return the databases to run on; the one that the environment names is the only one, whatever it is."""
    if os.environ.get("DATABASE_URL"):
        return ("the database that DATABASE_URL names",)
    return DATABASES if choice == "all" else (choice,)


def exit_code(codes: Sequence[int]) -> int:
    """Return the first failure; a run without any test fails only when no other run had one."""
    return next((code for code in codes if code not in {0, PYTEST_NO_TESTS}), min(codes))


def summary(databases: Sequence[str], codes: Sequence[int]) -> str:
    """Say in one line how the suite ended on each database."""
    words = [RESULTS.get(code, "failed") for code in codes]
    words += ["not run"] * (len(databases) - len(codes))
    return " · ".join(f"{database}: {word}" for database, word in zip(databases, words, strict=True))


def must_run_alone(arguments: Sequence[str]) -> bool:
    """Tell whether one run has to be over before the next begins."""
    return any(argument.partition("=")[0] in ALONE for argument in arguments)


def pytest_command(database: str, arguments: Sequence[str], *, coverage: bool) -> list[str]:
    """Return the command line of one run, which ends with us."""
    runner = ["coverage", "run", "--parallel-mode", "-m", "pytest"] if coverage else ["pytest"]
    where = [f"--database={database}"] if database in DATABASES else []
    # What is shown later comes from a file, where pytest would use no colours.
    colour = ["--color=yes"] if sys.stdout.isatty() else []
    return dying_with_parent([sys.executable, "-m", *runner, *where, *colour, *arguments])


def run_in_turn(commands: Sequence[Sequence[str]], headings: Sequence[str]) -> list[int]:
    """Run one after the other in the foreground, until one is interrupted, and return the exit codes."""
    codes: list[int] = []
    with waiting_for_the_summary():
        for command, heading in zip(commands, headings, strict=True):
            print(heading, flush=True)
            with start(command) as process:
                codes.append(process.wait())
            if codes[-1] == PYTEST_INTERRUPTED:
                break
    return codes


def run_side_by_side(commands: Sequence[Sequence[str]], headings: Sequence[str]) -> list[int]:
    """Run all at once and return the exit codes; what each says is shown one after the other, the first as it comes."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(waiting_for_the_summary())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        first, *others = commands
        logs = [folder / str(number) for number in range(len(others))]
        hidden = [stack.enter_context(start(command, log)) for command, log in zip(others, logs, strict=True)]
        print(headings[0], flush=True)
        codes = [stack.enter_context(start(first)).wait()]
        for heading, log, process in zip(headings[1:], logs, hidden, strict=True):
            print(heading, flush=True)
            codes.append(show(log, process))
        return codes


def show(log: Path, process: subprocess.Popen[bytes]) -> int:
    """Print what a process has said and goes on to say, and return its exit code."""
    with log.open("rb") as said:
        while (code := process.poll()) is None:
            shutil.copyfileobj(said, sys.stdout.buffer)
            sys.stdout.flush()
            time.sleep(POLL_SECONDS)
        shutil.copyfileobj(said, sys.stdout.buffer)
        sys.stdout.flush()
    return code


@contextlib.contextmanager
def waiting_for_the_summary() -> Iterator[None]:
    """Outlive Ctrl-C: a terminal sends it to pytest too, which answers it with a summary."""
    previous = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)


def start(command: Sequence[str], log: Path | None = None) -> subprocess.Popen[bytes]:
    """Start a run; with a log, it writes there and reads nothing."""
    environment = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    with contextlib.ExitStack() as stack:
        output = stack.enter_context(log.open("wb")) if log else None
        return subprocess.Popen(
            command,
            cwd=settings.BASE_DIR,
            env=environment,
            stdin=subprocess.DEVNULL if log else None,
            stdout=output,
            stderr=subprocess.STDOUT if log else None,
        )


def report_coverage() -> None:
    """Combine what the runs measured and print it; informative, it fails nothing."""
    for step in ("combine", "report"):
        subprocess.run([sys.executable, "-m", "coverage", step], cwd=settings.BASE_DIR, check=False)
