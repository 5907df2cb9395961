"""What a person reads at the end of a run: failures, the slowest tests, why some were skipped, and one last line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from tests.suite.events import Ended, Results

SLOWEST: Final = 10
# A reason that a database of its own gives; longer texts are cut in the last line.
MAX_REASON: Final = 60


def failures(results: Sequence[Results]) -> Iterator[str]:
    """Yield each failure in full, with the database it happened on."""
    for each in results:
        for failed in each.with_outcome("failed"):
            yield f"\n=== FAILED on {each.database}: {failed.id}\n{failed.text}"


def slowest(results: Sequence[Results]) -> Iterator[str]:
    """Yield a table of the tests that took longest: seconds, and of them the processor's, children included."""
    ended: list[Ended] = [one for each in results for one in each.ended.values()]
    if len(ended) < SLOWEST:
        return
    yield f"The slowest {SLOWEST} (seconds, processor seconds):"
    for each in sorted(ended, key=lambda one: -one.seconds)[:SLOWEST]:
        yield f"{each.seconds:8.1f} {each.cpu:8.1f}  {each.database:8}  {each.id}"


def counts(results: Results) -> str:
    """Return one database's line: `sqlite: 5053 passed, 0 failed, 42 skipped`."""
    numbers = [
        f"{len(results.with_outcome(outcome))} {outcome}" for outcome in ("passed", "failed", "skipped")
    ]
    return f"{results.database}: {', '.join(numbers)}"


def last_line(results: Sequence[Results], seconds: float, *, is_good: bool) -> str:
    """Return the last line: how all ended, what was skipped and why, and how long it took."""
    passed = sum(len(each.with_outcome("passed")) for each in results)
    failed = sum(len(each.with_outcome("failed")) for each in results)
    reasons = Counter(
        _short(skipped.text) for each in results for skipped in each.with_outcome("skipped")
    ).most_common()
    skipped = sum(count for _, count in reasons)
    why = f" ({'; '.join(f'{count} {reason}' for reason, count in reasons)})" if reasons else ""
    verdict = "passed" if is_good else "FAILED"
    failures_ = f", {failed} failed" if failed else ""
    return f"{verdict}: {passed} passed{failures_}, {skipped} skipped{why}, {seconds:.0f} s"


def _short(reason: str) -> str:
    text = " ".join(reason.split())
    return text if len(text) <= MAX_REASON else f"{text[: MAX_REASON - 1]}…"
