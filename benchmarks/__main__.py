"""Run benchmarks and show what they found."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from typing import Final

from benchmarks import report
from benchmarks.options import Options
from benchmarks.stage import set_stage

NAMES: Final = ("drain", "producer", "middleware", "search", "growth", "freshness")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="name", help=f"which to run: {', '.join(NAMES)}; all, if left out"
    )
    parser.add_argument("--rounds", type=int, help="how often each contestant has its turn")
    parser.add_argument("--scale", type=float, help="multiplies the numbers of records")
    parser.add_argument("--quick", action="store_true", help="two minutes: fewer rounds, fewer records")
    wishes = parser.parse_args(arguments)
    if unknown := set(wishes.names) - set(NAMES):
        parser.error(f"no benchmark is called {', '.join(sorted(unknown))}: there are {', '.join(NAMES)}.")
    options = Options(
        rounds=wishes.rounds or (2 if wishes.quick else 5),
        scale=wishes.scale or (0.25 if wishes.quick else 1.0),
    )
    with set_stage() as stage:
        results = [
            importlib.import_module(f"benchmarks.{name}").run(stage, options)
            for name in wishes.names or NAMES
        ]
    for result in results:
        sys.stdout.write(report.as_text(result))


if __name__ == "__main__":
    main()
