"""Reports: the same figures as text for a person."""

from __future__ import annotations

from benchmarks.figures import Result, Spread


def as_text(result: Result) -> str:
    """Return the figures of one benchmark as lines."""
    lines = ["", result.title, "=" * len(result.title)]
    for comparison in result.comparisons:
        lines += ["", f"{comparison.condition} ({comparison.unit})"]
        lines += [f"  {name:<28}{_cells(each)}" for name, each in comparison.figures.items()]
        lines += [f"  {name:<28}{_cells(each)}  ratio" for name, each in comparison.ratios.items()]
    if result.aims:
        lines += [""]
    for aim in result.aims:
        word = "reached" if aim.is_reached else "NOT REACHED"
        lines.append(f"  aim: {aim.name}: {number(aim.figure)}, {word}")
    return "\n".join([*lines, ""])


def _cells(each: Spread) -> str:
    return f"{number(each.median):>12}   ({number(each.least)} … {number(each.most)})"


def number(value: float) -> str:
    """Return a figure with three digits that count, and no more than a person reads."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
