"""`manage.py test`: the whole pytest suite, on SQLite and once more on Postgres."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from example_project.processes import dying_with_parent

DATABASES = ("sqlite", "postgres")
PYTEST_INTERRUPTED, PYTEST_NO_TESTS = 2, 5
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
            help="Where the tests run; default: all, one after the other. An exported DATABASE_URL wins.",
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
        codes: list[int] = []
        databases = chosen_databases(options["database"])
        for database in databases:
            self.stdout.write(self.style.MIGRATE_HEADING(f"The suite on {database}"))
            self.stdout.flush()
            codes.append(run_pytest(database, pytest_arguments, coverage=options["coverage"]))
            if codes[-1] == PYTEST_INTERRUPTED:
                break
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


def run_pytest(database: str, arguments: Sequence[str], *, coverage: bool) -> int:
    """Run pytest once, in the foreground, and return its exit code."""
    runner = ["coverage", "run", "--parallel-mode", "-m", "pytest"] if coverage else ["pytest"]
    where = [f"--database={database}"] if database in DATABASES else []
    command = dying_with_parent([sys.executable, "-m", *runner, *where, *arguments])
    environment = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    with subprocess.Popen(command, cwd=settings.BASE_DIR, env=environment) as process:
        # A terminal sends Ctrl-C to pytest too, which answers it with a summary: wait for that.
        previous = signal.signal(signal.SIGINT, lambda *_: None)
        try:
            return process.wait()
        finally:
            signal.signal(signal.SIGINT, previous)


def report_coverage() -> None:
    """Combine what the runs measured and print it; informative, it fails nothing."""
    for step in ("combine", "report"):
        subprocess.run([sys.executable, "-m", "coverage", step], cwd=settings.BASE_DIR, check=False)
