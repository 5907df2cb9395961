"""`track360 sandbox`: run the local imitation of Track360 as a server."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any, Final

from django.conf import settings
from django.core.management.base import CommandError, OutputWrapper

from track360_django.sandbox.__main__ import main

HELP: Final = (
    "Run the sandbox until SIGINT or SIGTERM. The first line of the output is its address. "
    "More options: python -m track360_django.sandbox --help."
)


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options; their defaults are the sandbox's own."""
    parser.add_argument("--port", type=int, help="TCP port; 0 takes any free one")
    parser.add_argument("--token", help="accept this brand token only")
    parser.add_argument("--force", action="store_true", help="run even if DEBUG is off")


def run(options: Mapping[str, Any], _out: OutputWrapper, _err: OutputWrapper) -> None:
    """
    Run the sandbox.

    Raises:
        CommandError: DEBUG is off, or the port is not available.
    """
    if not (settings.DEBUG or options["force"]):
        message = (
            "DEBUG is off, and the sandbox is for development: it accepts any record and shows it to every user of this "
            "machine. Use --force if this is not a production machine."
        )
        raise CommandError(message, returncode=1)
    given = {name: options[name] for name in ("port", "token") if options[name] is not None}
    code = main([f"--{name}={value}" for name, value in given.items()])
    if code:
        message = "The sandbox could not start. Choose another --port; 0 takes any free one."
        raise CommandError(message, returncode=code)
