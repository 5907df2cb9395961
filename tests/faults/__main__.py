"""
Tell stories of faults: `python -m tests.faults --seed 7`, or `--seeds 20 --write` for the table in the docs.

Exits with 1 when an invariant was violated. Every fourth of several seeds is told on SQLite, the others on Postgres.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Final

from example_project.processes import dying_with_parent
from tests.faults import page, story
from tests.faults.stage import ROOT
from tests.faults.story import Result

DATABASES: Final = ("postgres", "postgres", "postgres", "sqlite")


def main() -> int:
    """Tell what was asked for, and return the exit code."""
    options = _parser().parse_args()
    if options.seeds:
        return _tell_many(options)
    result = story.tell(options.seed, options.database or "postgres", options.seconds, options.keep)
    print(result.as_json() if options.json else report(result))  # noqa: T201  what the caller reads
    return 0 if result.is_clean else 1


def report(result: Result) -> str:
    """Return a result in words: what was violated, by which plan, and how to repeat it."""
    figures = ", ".join(f"{count} {name}" for name, count in result.figures.items())
    lines = [f"seed {result.seed} on {result.database}: {len(result.violations)} violations ({figures})"]
    if not result.is_clean:
        lines += [
            "The plan:",
            *result.plan,
            "What was violated:",
            *result.violations,
            f"Repeat it: {command(result)}",
        ]
    return "\n".join(lines)


def command(result: Result) -> str:
    """Return the command that tells a story again and keeps all logs."""
    seed = f"--seed {result.seed} --database {result.database}"
    return f"python -m tests.faults {seed} --keep faults-{result.seed}"


def tell_apart(seed: int, database: str, seconds: float = story.SECONDS) -> Result:
    """Tell one story in a process of its own."""
    words = [
        "-m",
        "tests.faults",
        "--json",
        f"--seed={seed}",
        f"--database={database}",
        f"--seconds={seconds}",
    ]
    done = subprocess.run(
        dying_with_parent([sys.executable, *words]), cwd=ROOT, capture_output=True, text=True, check=False
    )
    lines = done.stdout.splitlines()
    if not lines or not lines[-1].startswith("{"):
        message = f"The story of seed {seed} on {database} broke off:\n{done.stdout}\n{done.stderr}"
        raise RuntimeError(message)
    return Result(**json.loads(lines[-1]))


def _tell_many(options: argparse.Namespace) -> int:
    results: list[Result] = []
    for seed in range(options.seed, options.seed + options.seeds):
        database = options.database or DATABASES[seed % len(DATABASES)]
        results.append(tell_apart(seed, database, options.seconds))
        print(report(results[-1]), flush=True)  # noqa: T201  progress for a person
        if options.write:
            page.write(results)
    return 0 if all(result.is_clean for result in results) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="the seed, or the first of several")
    parser.add_argument("--seeds", type=int, default=0, metavar="N", help="tell so many, one after the other")
    parser.add_argument("--database", choices=sorted(set(DATABASES)), help="where; several seeds: on both")
    parser.add_argument("--seconds", type=float, default=story.SECONDS, help="how long the chaos lasts")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep logs, journals and requests there")
    parser.add_argument("--json", action="store_true", help="print the result as one line")
    parser.add_argument(
        "--write", action="store_true", help="write the table into docs/explanation/faults.md"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
