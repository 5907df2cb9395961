"""`track360 import`: report customers and activities from CSV and JSONL files. It may be killed and started again."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any, Final

from django.core.management.base import CommandError, OutputWrapper
from django.db import InterfaceError, OperationalError

from track360_django.history import progress
from track360_django.history.file_import import sources
from track360_django.history.file_import.fields import Reading
from track360_django.history.file_import.lines import EndlessLineError
from track360_django.history.file_import.run import FileImport, Interrupted
from track360_django.history.preview import Newcomers
from track360_django.history.stopping import INTERRUPTED, stopped_by_signals
from track360_django.management.track360.arguments import brand_of

HELP: Final = (
    "Report customers and activities from CSV or JSONL files with the field names of the API guide, customers first. "
    "An import that was stopped or killed continues where it was when it is started again."
)


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        help="CSV with a header, or JSONL; - is standard input, which can't be continued after a stop",
    )
    parser.add_argument("--brand", help="import for this brand (default: the brand without a request)")
    parser.add_argument("--rate", type=progress.rate, metavar="N", help="read at most N lines a second")
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="print the JSON that would be sent, one record a line, and write nothing",
    )
    parser.add_argument(
        "--ids-as-written",
        action="store_true",
        help="take ids as they are, also if they look like rounded numbers or missing values, such as 7.0 or 1.2E+15",
    )
    parser.add_argument("--restart", action="store_true", help="start at the beginning, also after a stop")


def run(options: Mapping[str, Any], out: OutputWrapper, err: OutputWrapper) -> None:
    """
    Import the files.

    Raises:
        CommandError: A line could not be reported, a file can't be imported, or the import was interrupted.
    """
    reading = Reading(brand=brand_of(options["brand"]), is_as_written=options["ids_as_written"])
    is_dry = options["dry_run"]
    with ExitStack() as stack, stopped_by_signals() as stop:
        works = [
            FileImport(
                source=source,
                reading=reading,
                out=out,
                notices=err if is_dry else out,
                pace=progress.Pace(options["rate"], stop),
                stop=stop,
            )
            for source in sources.open_all(options["files"], stack, is_locked=not is_dry)
        ]
        newcomers = Newcomers()
        problems = [problem for work in works for problem in _do(work, options, newcomers)]
        if not is_dry:
            # Only now. Until then, a start after a kill does not read complete files again.
            for work in works:
                work.forget()
    if problems:
        raise CommandError("\n".join(problems), returncode=1)


def _do(work: FileImport, options: Mapping[str, Any], newcomers: Newcomers) -> list[str]:
    """Import one file, or show its bodies; return the problems that need a person."""
    try:
        if options["dry_run"]:
            return work.show(newcomers)
        return work.write(is_restart=options["restart"])
    except Interrupted as interrupted:
        raise CommandError(str(interrupted), returncode=INTERRUPTED) from None
    except EndlessLineError as error:
        message = f"{work.name}: {error}: this is not a file of lines. The lines before it are imported."
        raise CommandError(message, returncode=1) from None
    except (OperationalError, InterfaceError) as error:
        message = (
            f"The database is not available ({type(error).__name__}). Committed records stay. Run the same command again: "
            "the import continues where it was."
        )
        raise CommandError(message, returncode=1) from None
