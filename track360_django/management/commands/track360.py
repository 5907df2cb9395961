"""
`manage.py track360 <subcommand>`: observe and control delivery from a terminal.

Each subcommand prints one result a line. Exit codes: 0 for success, 1 when something needs a person, 2 for a wrong call.
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
        Run the subcommand.

        Raises:
            CommandError: Something needs a person. The message says what, where, and what to do.
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
    """Calls the subcommand that was named."""

    help = "Observe and control the delivery of records to Track360."
    # Some subcommands explain wrong settings, so they must run in spite of them.
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
