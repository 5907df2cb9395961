"""Reports: the same figures as text for a person, as JSON, and as Markdown between two marks of a page."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks import chart
from benchmarks.figures import Aim, Comparison, Result, Spread

JSON_NAME: Final = "benchmarks.json"
SVG_NAME: Final = "benchmarks.svg"
PAGE_NAME: Final = "explanation/benchmarks.md"
BEGIN: Final = "<!-- figures: written by `python -m benchmarks --output docs`, do not edit -->"
END: Final = "<!-- figures end -->"


def as_text(result: Result) -> str:
    """Return the figures of one benchmark as lines."""
    lines = ["", result.title, "=" * len(result.title)]
    lines += [f"{name}: {fact}" for name, fact in result.facts.items()]
    for comparison in result.comparisons:
        lines += ["", f"{comparison.condition} ({comparison.unit})"]
        lines += [f"  {name:<36}{_columns(each)}" for name, each in comparison.figures.items()]
        lines += [f"  {name:<36}{_columns(each)}  ratio" for name, each in comparison.ratios.items()]
    lines += [""] if result.aims else []
    lines += [
        f"  aim: {aim.name}: {number(aim.figure)}, {_wanted(aim)}: {_verdict(aim)}" for aim in result.aims
    ]
    return "\n".join([*lines, ""])


def as_json(results: Sequence[Result], machine: Mapping[str, str], run: Mapping[str, object]) -> str:
    """Return all figures as JSON."""
    content = {
        "run": dict(run),
        "machine": dict(machine),
        "results": [_plain(result) for result in results],
    }
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def as_markdown(results: Sequence[Result], machine: Mapping[str, str], run: Mapping[str, object]) -> str:
    """Return all figures as the part of the page that lies between the marks."""
    lines = [f"Measured with {_listed(run)} on: {_listed(machine)}.", ""]
    lines += ["## Aims", "", "| aim | wanted | figure | |", "|---|---|---|---|"]
    lines += [
        f"| {aim.name} | {_wanted(aim)} | {number(aim.figure)} | {_verdict(aim)} |"
        for result in results
        for aim in result.aims
    ]
    for result in results:
        lines += ["", f"## Figures: {result.title}", ""]
        if result.facts:
            lines += [f"{_listed(result.facts)}.", ""]
        lines += ["| | | median | least … most |", "|---|---|---|---|"]
        for comparison in result.comparisons:
            lines += _rows(comparison)
    return "\n".join([BEGIN, "", *lines, "", END])


def write(
    docs: Path, results: Sequence[Result], machine: Mapping[str, str], run: Mapping[str, object]
) -> None:
    """Write JSON, chart and the page's figures, all from the same results."""
    (docs / JSON_NAME).write_text(as_json(results, machine, run))
    drain = next((result for result in results if result.name == "drain"), None)
    if drain is not None:
        (docs / SVG_NAME).write_text(chart.as_svg(drain.title, drain.comparisons))
    page = docs / PAGE_NAME
    if page.exists():
        page.write_text(insert(page.read_text(), as_markdown(results, machine, run)))


def insert(page: str, figures: str) -> str:
    """Return a page with its figures in the place of the old ones."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        message = f"the page has no place for figures: it needs the lines {BEGIN} and {END}"
        raise ValueError(message)
    return before + figures + after


def number(value: float) -> str:
    """Return a figure with three digits that count, and no more than a person reads."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _plain(result: Result) -> dict[str, Any]:
    plain = dataclasses.asdict(result)
    plain["aims"] = [{**dataclasses.asdict(aim), "is_reached": aim.is_reached} for aim in result.aims]
    return plain


def _rows(comparison: Comparison) -> list[str]:
    figures = [
        f"| {comparison.condition} | {name}, {comparison.unit} | {number(each.median)} | {_range(each)} |"
        for name, each in comparison.figures.items()
    ]
    ratios = [
        f"| {comparison.condition} | **{name}** | **{number(each.median)}** | {_range(each)} |"
        for name, each in comparison.ratios.items()
    ]
    return figures + ratios


def _range(each: Spread) -> str:
    return f"{number(each.least)} … {number(each.most)}"


def _columns(each: Spread) -> str:
    return f"{number(each.median):>12}   ({_range(each)})"


def _wanted(aim: Aim) -> str:
    bounds = []
    if aim.at_least is not None:
        bounds.append(f"at least {number(aim.at_least)}")
    if aim.at_most is not None:
        bounds.append(f"at most {number(aim.at_most)}")
    return ", ".join(bounds)


def _verdict(aim: Aim) -> str:
    return "reached" if aim.is_reached else "not reached"


def _listed(facts: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {fact}" for name, fact in facts.items())
