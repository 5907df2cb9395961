"""The stories of a few seeds: whatever dies, stops or misbehaves, the ten invariants hold in the end."""

from __future__ import annotations

import pytest

from tests.faults.__main__ import report, tell_apart


def test_story_of_a_seed_violates_nothing(fault_seed: int, pytestconfig: pytest.Config) -> None:
    """Processes die, the broker forgets, the API lies; healed and drained, all that was committed counts once."""
    result = tell_apart(fault_seed, pytestconfig.getoption("--database"))

    assert result.is_clean, report(result)
    # A story in which nothing happened shows nothing.
    assert result.figures["activities"] > 0
    assert result.figures["requests that met a fault"] > 0
    assert result.figures["disturbances"] > 0
