"""Measure this package beside what one would write or install instead, on servers of its own."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks import report
from benchmarks.figures import Result
from benchmarks.options import Options

NAMES: Final = ("drain", "producer", "middleware", "search", "growth", "freshness", "import")
# A module can't have the name of a keyword.
MODULES: Final = {"import": "imports"}
FULL: Final = Options(rounds=5, scale=1.0)
QUICK: Final = Options(rounds=1, scale=0.1)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what was asked for, show it, and write it down if that was asked for too."""
    wishes = _parser().parse_args(arguments)
    default = QUICK if wishes.quick else FULL
    options = Options(rounds=wishes.rounds or default.rounds, scale=wishes.scale or default.scale)
    names = tuple(name for name in NAMES if name in wishes.names) or NAMES
    results, machine = measure(names, options)
    for result in results:
        sys.stdout.write(report.as_text(result))
    if wishes.output:
        report.write(wishes.output, results, machine, {"rounds": options.rounds, "scale": options.scale})


def measure(names: Sequence[str], options: Options) -> tuple[list[Result], dict[str, str]]:
    """Run benchmarks on one stage; return what they found, and on which machine."""
    from benchmarks import stage  # noqa: PLC0415  --help needs no servers

    results = []
    with stage.set_stage() as standing:
        machine = importlib.import_module("benchmarks.machine").describe()
        for name in names:
            # They import models, which are there when the stage is set.
            results.append(_benchmark(name).run(standing, options))
            standing.clear()
    return results, machine


def _benchmark(name: str) -> Any:
    return importlib.import_module(f"benchmarks.{MODULES.get(name, name)}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "names",
        nargs="*",
        metavar="name",
        choices=(*NAMES, []),
        help=f"which: {', '.join(NAMES)}; default all",
    )
    parser.add_argument("--rounds", type=int, help="how often each contestant has its turn (5)")
    parser.add_argument("--scale", type=float, help="multiplies the numbers of records (1.0)")
    parser.add_argument(
        "--quick", action="store_true", help="about two minutes: one round, a tenth of the records"
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="docs",
        help="the folder whose figures and page are written; none by default",
    )
    return parser


if __name__ == "__main__":
    main()
