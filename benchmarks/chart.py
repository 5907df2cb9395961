"""The chart: horizontal bars on a logarithmic scale, as SVG that is readable on light and dark pages."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final
from xml.sax.saxutils import escape

from benchmarks.figures import Comparison

WIDTH: Final = 760
LABELS: Final = 120
FIGURES: Final = 90
BAR: Final = 18
GAP: Final = 6
HEAD: Final = 34
OURS: Final = "ours"

STYLE: Final = """
text { font: 13px system-ui, sans-serif; fill: #1f2328; }
.title { font-size: 16px; font-weight: 600; }
.condition { font-weight: 600; }
.tick { font-size: 11px; fill: #59636e; }
.grid { stroke: #d1d9e0; }
.bar { fill: #8c959f; }
.ours { fill: #0969da; }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc; }
  .tick { fill: #9198a1; }
  .grid { stroke: #3d444d; }
  .bar { fill: #656c76; }
  .ours { fill: #4493f8; }
}
"""


def as_svg(title: str, comparisons: Sequence[Comparison]) -> str:
    """Return a chart of some comparisons below each other, all on one scale."""
    values = [each.median for comparison in comparisons for each in comparison.figures.values()]
    scale = _Scale(min(values), max(values))
    unit = comparisons[0].unit
    parts = [f'<text class="title" x="0" y="20">{escape(f"{title}, {unit}, logarithmic scale")}</text>']
    top = HEAD
    for comparison in comparisons:
        parts += _group(comparison, scale, top)
        top += HEAD + len(comparison.figures) * (BAR + GAP)
    height = top + HEAD
    grid = [
        f'<line class="grid" x1="{scale.at(tick):.1f}" x2="{scale.at(tick):.1f}" y1="{HEAD}" y2="{top}"/>'
        f'<text class="tick" text-anchor="middle" x="{scale.at(tick):.1f}" y="{top + 16}">{tick:,.0f}</text>'
        for tick in scale.ticks()
    ]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
            f"<title>{escape(title)}</title>",
            f"<style>{STYLE}</style>",
            *grid,
            *parts,
            "</svg>",
            "",
        ]
    )


class _Scale:
    """Whole powers of ten around the figures."""

    def __init__(self, least: float, most: float) -> None:
        self.first = math.floor(math.log10(least))
        self.last = max(math.ceil(math.log10(most)), self.first + 1)

    def ticks(self) -> list[float]:
        return [10.0**power for power in range(self.first, self.last + 1)]

    def at(self, value: float) -> float:
        share = (math.log10(value) - self.first) / (self.last - self.first)
        return LABELS + share * (WIDTH - LABELS - FIGURES)


def _group(comparison: Comparison, scale: _Scale, top: int) -> list[str]:
    parts = [f'<text class="condition" x="0" y="{top + 22}">{escape(comparison.condition)}</text>']
    for place, (name, each) in enumerate(comparison.figures.items()):
        y = top + HEAD + place * (BAR + GAP)
        end = scale.at(each.median)
        kind = "bar ours" if name == OURS else "bar"
        parts += [
            f'<text x="{LABELS - 8}" y="{y + 13}" text-anchor="end">{escape(name)}</text>',
            f'<rect class="{kind}" x="{LABELS}" y="{y}" width="{end - LABELS:.1f}" height="{BAR}" rx="2"/>',
            f'<text x="{end + 6:.1f}" y="{y + 13}">{each.median:,.0f}</text>',
        ]
    return parts
