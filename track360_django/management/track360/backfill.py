"""`track360 backfill`: report users and rows that existed before the package was installed, each once."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import CommandError, OutputWrapper
from django.db import InterfaceError, OperationalError

from track360_django import activities, conf
from track360_django.activities.declarations import ModelActivity, ledger
from track360_django.history import progress
from track360_django.history.backfill.rows import Rows
from track360_django.history.backfill.users import Users
from track360_django.history.backfill.work import Between, Counts, Work
from track360_django.history.preview import Newcomers
from track360_django.history.progress import forget_queries
from track360_django.history.stopping import INTERRUPTED, Stop, stopped_by_signals
from track360_django.management.track360.arguments import MOMENT, brand_of, moment, moment_until

HELP: Final = (
    "Report users and rows of declared models that were never reported, customers first. The command may be stopped, "
    "killed and repeated: it skips what was reported."
)
USERS: Final = "users"
ALL: Final = "all"


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "what",
        metavar="users|app.Model|all",
        help="the users, the rows of one declared model, or the users and then the rows of all declared models",
    )
    parser.add_argument(
        "--since", type=moment, metavar="TIME", help=f"only records from this time on: {MOMENT}"
    )
    parser.add_argument("--until", type=moment_until, metavar="TIME", help="only records before this time")
    parser.add_argument("--declaration", metavar="NAME", help="only the declaration with this class name")
    parser.add_argument(
        "--brand", help="report the users as customers of this brand (default: the brand without a request)"
    )
    parser.add_argument("--rate", type=progress.rate, metavar="N", help="report at most N rows a second")
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="print the JSON that would be sent, one record a line, and write nothing",
    )


def run(options: Mapping[str, Any], out: OutputWrapper, err: OutputWrapper) -> None:
    """
    Backfill.

    Raises:
        CommandError: A row can't be reported, no declaration has the name, or the backfill was interrupted.
    """
    is_dry = options["dry_run"]
    notices = err if is_dry else out
    total = Counts()
    with stopped_by_signals() as stop:
        pace = progress.Pace(options["rate"], stop)
        for work in list(_works(options)):
            counts = _do(work, out if is_dry else None, notices, pace, stop)
            notices.write(f"{work.name}: {counts}", style_func=str)
            total.add(counts)
    if total.refused:
        raise CommandError(_why_refused(total, is_dry=is_dry), returncode=1)


def _works(options: Mapping[str, Any]) -> Iterator[Work]:
    newcomers = Newcomers()
    what, between = options["what"], Between(options["since"], options["until"])
    found = _declarations(what, options["declaration"])
    if what in {USERS, ALL} and options["declaration"] is None:
        yield Users(_brand_of_users(options["brand"]), between, newcomers)
    for declaration in found:
        for alias in ledger.aliases_of(declaration.model):
            yield Rows(declaration, alias, between, newcomers)


def _brand_of_users(name: str | None) -> str:
    """Return the brand to report the users for. With several brands and no request, it must be named."""
    brands = conf.brands()
    if name is None and len(brands) > 1:
        message = (
            f"This host has several brands ({', '.join(brands)}), and a command has no request that shows the brand of a "
            "user. Nothing was written. If all users without a customer belong to one brand, name it with --brand. Else "
            "report them with `track360 import --brand`, one file for each brand. The rows of a declared model have a "
            "brand: to report only these, name the model."
        )
        raise CommandError(message, returncode=2)
    return brand_of(name)


def _declarations(what: str, name: str | None) -> Sequence[ModelActivity]:
    if what == USERS:
        return ()
    declared = activities.declarations()
    if what != ALL:
        declared = tuple(each for each in declared if each.model is _model_of(what))
    found = tuple(each for each in declared if name in {None, type(each).__name__})
    if not found and (what != ALL or name is not None):
        names = ", ".join(
            f"{each.model._meta.label} ({type(each).__name__})" for each in activities.declarations()
        )
        message = (
            f"There is no declaration for {what}{f' with the name {name}' if name else ''}. Declared in track360.py files: "
            f"{names or 'nothing'}. See docs/howto/declare-activities.md."
        )
        raise CommandError(message, returncode=2)
    return found


def _model_of(label: str) -> type | None:
    try:
        return apps.get_model(label)
    except (LookupError, ValueError):
        return None


def _do(
    work: Work, shown: OutputWrapper | None, notices: OutputWrapper, pace: progress.Pace, stop: Stop
) -> Counts:
    """Do one work, page by page; return the counts of its rows."""
    counts = Counts()
    bar = progress.Meter(notices, work.name, work.count())
    try:
        for page in work.pages():
            width = pace.width(len(page))
            for start in range(0, len(page), width):
                part = page[start : start + width]
                counts.add(work.write(part, notices) if shown is None else work.show(part, shown, notices))
                forget_queries()
                bar.show(counts.read, counts.read)
                if stop.is_wanted:
                    message = f"Stopped after {counts.read} of {work.name}. Run the same command again for the rest."
                    raise CommandError(message, returncode=INTERRUPTED)
                pace.wait(len(part))
    except (OperationalError, InterfaceError) as error:
        message = (
            f"The database is not available ({type(error).__name__}). Committed records stay. Run the same command again "
            "for the rest."
        )
        raise CommandError(message, returncode=1) from None
    except ImproperlyConfigured as error:
        message = f"{work.name}: {error}"
        raise CommandError(message, returncode=1) from None
    finally:
        bar.end()
    return counts


def _why_refused(total: Counts, *, is_dry: bool) -> str:
    message = f"Users or rows that can't be reported: {total.refused}."
    if is_dry:
        return f"{message} Each one is listed above with the reason. Correct it, or its declaration in track360.py."
    return (
        f"{message} Users are listed above. Each row is now a dead record with its reason (see `track360 status` or the "
        "admin). Correct the row, or its declaration in track360.py. Then run this command again, or requeue the record."
    )
