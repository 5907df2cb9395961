"""`track360 sandbox`: Track360 imitated on this machine, as a server of its own."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any, Final

from django.conf import settings
from django.core.management.base import CommandError, OutputWrapper

from track360_django.sandbox.__main__ import main

HELP: Final = (
    "Run the sandbox until SIGINT or SIGTERM; the address is the first line. "
    "More options: python -m track360_django.sandbox --help."
)


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options; their defaults are the sandbox's own."""
    parser.add_argument("--port", type=int, help="TCP port, 0 for any free one")
    parser.add_argument("--token", help="accept this brand token only")
    parser.add_argument("--force", action="store_true", help="run it although DEBUG is off")


def run(options: Mapping[str, Any], _out: OutputWrapper, _err: OutputWrapper) -> None:
    """
    Serve.

    Raises:
        CommandError: DEBUG is off, or the port can't be had.
    """
    if not (settings.DEBUG or options["force"]):
        message = (
            "DEBUG is off, and the sandbox is for development: it takes any record and shows it to everybody on this "
            "machine. Use --force if this is no production machine."
        )
        raise CommandError(message, returncode=1)
    given = {name: options[name] for name in ("port", "token") if options[name] is not None}
    code = main([f"--{name}={value}" for name, value in given.items()])
    if code:
        message = "The sandbox could not start: choose another --port, 0 for any free one."
        raise CommandError(message, returncode=code)
