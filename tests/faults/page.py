"""The table of verdicts in `docs/explanation/faults.md`, between two comments."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from tests.faults.stage import ROOT
from tests.faults.story import Result

PAGE: Final = ROOT / "docs" / "explanation" / "faults.md"
BEGIN: Final = "<!-- verdicts: begin -->"
END: Final = "<!-- verdicts: end -->"
FIGURES: Final = (
    "customers",
    "activities",
    "rolled back",
    "requests",
    "requests that met a fault",
    "disturbances",
)


def write(results: Sequence[Result]) -> None:
    """Replace the table on the page."""
    text = PAGE.read_text()
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    PAGE.write_text(f"{before}{BEGIN}\n{render(results)}\n{END}{after}")


def render(results: Sequence[Result]) -> str:
    """Return the table: a row for each seed, a sum below."""
    return "\n".join(_lines(results))


def _lines(results: Sequence[Result]) -> Iterator[str]:
    yield f"| seed | database | {' | '.join(FIGURES)} | violations |"
    yield "|" + "---|" * (len(FIGURES) + 3)
    for result in results:
        numbers = " | ".join(str(result.figures[name]) for name in FIGURES)
        yield f"| {result.seed} | {result.database} | {numbers} | {_violations(result)} |"
    sums = " | ".join(str(sum(result.figures[name] for result in results)) for name in FIGURES)
    total = sum(len(result.violations) for result in results)
    yield f"| all {len(results)} | | {sums} | {total} |"


def _violations(result: Result) -> str:
    found = [f"{count} {name}" for name, count in result.counts.items() if count]
    return ", ".join(found) or "none"
