"""`manage.py test`: the whole pytest suite, on SQLite and on Postgres, side by side."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from example_project.processes import dying_with_parent
from tests.suite.run import NO_TESTS, PROCESSES, Run, environment

DATABASES = ("sqlite", "postgres")
PYTEST_INTERRUPTED = 2
# Arguments of pytest that talk to a person, or name a folder for one run: with these, one run comes after the other.
ALONE = ("--pdb", "--trace", "--basetemp", "-s", "--capture", "--collect-only", "--co", "-h", "--help")
RESULTS = {0: "passed", PYTEST_INTERRUPTED: "interrupted", NO_TESTS: "no tests"}
PYTEST = ("-m", "pytest")
COVERAGE = ("-m", "coverage", "run", "--parallel-mode", "-m", "pytest")


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
        parser.add_argument(
            "--processes",
            type=int,
            metavar="N",
            help=f"How many for each database; default: {PROCESSES}, and 1 where pytest is given arguments.",
        )
        parser.add_argument(
            "--record-durations",
            action="store_true",
            help="Write down how long each module took: the next runs are planned by it.",
        )

    def run_from_argv(self, argv: list[str]) -> None:
        """Split the arguments: Django's own way of reading them refuses what it does not know."""
        parser = self.create_parser(argv[0], argv[1])
        options, pytest_arguments = parser.parse_known_args(argv[2:])
        sys.exit(self.handle(*pytest_arguments, **vars(options)))

    def handle(self, *pytest_arguments: str, **options: Any) -> Any:
        """Run the suite on each database and return the exit code: that of the first run that failed, else 0."""
        databases = chosen_databases(options["database"])
        pytest = COVERAGE if options["coverage"] else PYTEST
        if must_run_alone(pytest_arguments) or os.environ.get("DATABASE_URL"):
            code = self._run_in_turn(databases, pytest, pytest_arguments)
        else:
            code = Run(
                databases=databases,
                arguments=pytest_arguments,
                pytest=pytest,
                processes=options["processes"] or (1 if pytest_arguments else PROCESSES),
                is_recording=options["record_durations"],
            ).run()
        if options["coverage"]:
            report_coverage()
        return code

    def _run_in_turn(self, databases: Sequence[str], pytest: Sequence[str], arguments: Sequence[str]) -> int:
        commands = [command_of(database, pytest, arguments) for database in databases]
        headings = [self.style.MIGRATE_HEADING(f"The suite on {database}") for database in databases]
        codes = run_in_turn(commands, headings)
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
    return next((code for code in codes if code not in {0, NO_TESTS}), min(codes))


def summary(databases: Sequence[str], codes: Sequence[int]) -> str:
    """Say in one line how the suite ended on each database."""
    words = [RESULTS.get(code, "failed") for code in codes]
    words += ["not run"] * (len(databases) - len(codes))
    return " · ".join(f"{database}: {word}" for database, word in zip(databases, words, strict=True))


def must_run_alone(arguments: Sequence[str]) -> bool:
    """Return whether one run has to be over before the next begins."""
    return any(argument.partition("=")[0] in ALONE for argument in arguments)


def command_of(database: str, pytest: Sequence[str], arguments: Sequence[str]) -> list[str]:
    """Return the command line of one run, which ends with us."""
    where = [f"--database={database}"] if database in DATABASES else []
    return dying_with_parent([sys.executable, *pytest, *where, *arguments])


def run_in_turn(commands: Sequence[Sequence[str]], headings: Sequence[str]) -> list[int]:
    """Run one after the other in the foreground, until one is interrupted, and return the exit codes."""
    codes: list[int] = []
    with waiting_for_the_summary():
        for command, heading in zip(commands, headings, strict=True):
            print(heading, flush=True)
            with subprocess.Popen(command, cwd=settings.BASE_DIR, env=environment()) as process:
                codes.append(process.wait())
            if codes[-1] == PYTEST_INTERRUPTED:
                break
    return codes


@contextlib.contextmanager
def waiting_for_the_summary() -> Iterator[None]:
    """Outlive Ctrl-C: a terminal sends it to pytest too, which answers it with a summary."""
    previous = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)


def report_coverage() -> None:
    """Combine what the runs measured and print it; informative, it fails nothing."""
    for step in ("combine", "report"):
        subprocess.run([sys.executable, "-m", "coverage", step], cwd=settings.BASE_DIR, check=False)
