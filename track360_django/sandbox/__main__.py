"""`python -m track360_django.sandbox`: the sandbox in the foreground, until SIGTERM or SIGINT."""

from __future__ import annotations

import argparse
import signal
import sys
from threading import Event
from typing import TYPE_CHECKING, get_args

from .server import SandboxServer
from .store import OnConflict

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the server; print its address as the first line. Return 0, or 2 if the address is not available."""
    options = _parser().parse_args(arguments)
    leave = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: leave.set())
    try:
        server = SandboxServer(
            options.host,
            options.port,
            options.token,
            capacity=options.capacity,
            on_conflict=options.on_conflict,
        )
    except (OSError, ValueError) as error:
        print(f"track360 sandbox: {error}", file=sys.stderr)  # noqa: T201  a command talks to its terminal
        return 2
    with server:
        print(server.url, flush=True)  # noqa: T201
        leave.wait()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m track360_django.sandbox",
        description="A local imitation of the Track360 API, in memory, for development and tests.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="loopback address (default: %(default)s)")
    parser.add_argument(
        "--port", type=int, default=8361, help="TCP port; 0 takes any free one (default: %(default)s)"
    )
    parser.add_argument("--token", action="append", help="accept this brand token only; may be repeated")
    parser.add_argument(
        "--capacity", type=int, default=200_000, help="how many records to keep (default: %(default)s)"
    )
    parser.add_argument(
        "--on-conflict",
        choices=get_args(OnConflict),
        default="refuse",
        help="what to do with a known eventid with other content (default: %(default)s)",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
