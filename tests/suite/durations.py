"""How long each test module took on each database when it was measured last: what a run is planned by."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

FILE: Final = Path(__file__).with_name("durations.json")
# What takes longer is begun first.
LONG_SECONDS: Final = 4.0
# Shorter ones are not worth a line.
SHORTEST_SECONDS: Final = 0.5


@dataclass(frozen=True)
class Durations:
    """Seconds by module (`tests/delivery/test_worker.py`) on one database."""

    seconds: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def read(cls, database: str) -> Self:
        """Return what was measured on a database; nothing where it never was."""
        return cls(json.loads(FILE.read_text()).get(database, {}) if FILE.exists() else {})

    def long_seconds_of(self, nodeid: str) -> float:
        """Return how long the module of a test takes, 0 if that is not long."""
        seconds = self.seconds.get(module_of(nodeid), 0.0)
        return seconds if seconds >= LONG_SECONDS else 0.0


def module_of(nodeid: str) -> str:
    """Return the file that a test is in."""
    return nodeid.partition("::")[0]


def record(measured: Mapping[str, Mapping[str, float]]) -> None:
    """Write down what a whole run measured: seconds by module, by database."""
    lines = {
        database: {
            name: round(seconds, 1)
            for name, seconds in sorted(modules.items())
            if seconds >= SHORTEST_SECONDS
        }
        for database, modules in measured.items()
    }
    FILE.write_text(json.dumps(lines, indent=1, sort_keys=True) + "\n")
