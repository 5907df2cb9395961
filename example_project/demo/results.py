"""The verdict as a table."""

from __future__ import annotations

from collections.abc import Sequence

from example_project.demo.console import Console
from example_project.demo.verdict import Verdict, percentile


def show(verdict: Verdict, console: Console) -> None:
    """Show what was counted and measured, then the sentence it comes to."""
    console.step("Results")
    console.table(
        [
            ("records", "committed", "delivered", "accepted"),
            *(
                (f"  {kind}", str(count.committed), str(count.delivered), str(count.accepted))
                for kind, count in verdict.counts.items()
            ),
            ("from commit to acceptance", "p50", "p95", "longest"),
            ("  while Track360 was well", *_figures(verdict.prompt)),
            ("  written during the outage", *_figures(verdict.delayed)),
            ("requests to Track360", "sent", "refused", "taken"),
            ("", *map(str, (verdict.calls, verdict.failed_calls, verdict.calls - verdict.failed_calls))),
        ]
    )
    say = console.good if verdict.is_clean else console.bad
    say("  " + ", ".join(f"{name} {number}" for name, number in verdict.faults.items()))


def _figures(sorted_seconds: Sequence[float]) -> tuple[str, ...]:
    return tuple(_duration(percentile(sorted_seconds, percent)) for percent in (50, 95, 100))


def _duration(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"
