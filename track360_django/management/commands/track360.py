"""
`manage.py track360 <subcommand>`: delivery seen and steered from a terminal.

Each subcommand prints one result a line. Exit codes: 0, 1 when something needs a person, 2 for a wrong call.
"""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any, Final, Protocol

from django.core.management.base import BaseCommand, OutputWrapper

from track360_django.management.track360 import (
    backfill,
    daily,
    deliver,
    explain,
    import_files,
    prune,
    reconcile,
    replay,
    requeue,
    resume,
    sandbox,
    status,
)


class Subcommand(Protocol):
    """A module of `management/track360`."""

    HELP: str

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the options."""

    def run(self, options: Mapping[str, Any], out: OutputWrapper, err: OutputWrapper) -> None:
        """
        Do it.

        Raises:
            CommandError: Something needs a person; it says what, where, and the way out.
        """


SUBCOMMANDS: Final[Mapping[str, Subcommand]] = {
    "status": status,
    "deliver": deliver,
    "daily": daily,
    "reconcile": reconcile,
    "backfill": backfill,
    "import": import_files,
    "requeue": requeue,
    "resume": resume,
    "explain": explain,
    "replay": replay,
    "prune": prune,
    "sandbox": sandbox,
}


class Command(BaseCommand):
    """Hands over to the subcommand that was asked for."""

    help = "See and steer the delivery of records to Track360."
    # Wrong settings are what some of these are asked about: they must run all the same.
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the subcommands."""
        parsers = parser.add_subparsers(dest="subcommand", required=True, metavar="subcommand")
        for name, subcommand in SUBCOMMANDS.items():
            subcommand.add_arguments(
                parsers.add_parser(name, help=subcommand.HELP, description=subcommand.HELP)
            )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Run the subcommand."""
        SUBCOMMANDS[options["subcommand"]].run(options, self.stdout, self.stderr)
