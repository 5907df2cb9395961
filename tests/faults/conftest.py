"""What the tests of faults share: the seeds they are to tell, and the fault server in place of Track360."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import pytest

from tests.faults.api import TOKEN, FaultServer

# Of all databases the suite runs on, each tells its own: together less than 75 seconds.
SHORT: Final = {"sqlite": (3,), "postgres": (1, 2)}
FIRST: Final = 1


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give the story the seeds that the options ask for."""
    if "fault_seed" in metafunc.fixturenames:
        metafunc.parametrize("fault_seed", seeds_of(metafunc.config))


def seeds_of(config: pytest.Config) -> tuple[int, ...]:
    """Return the seeds of this run."""
    first: int | None = config.getoption("--fault-seed")
    count: int = config.getoption("--fault-seeds")
    if first is None and not count:
        return SHORT[config.getoption("--database")]
    first = FIRST if first is None else first
    return tuple(range(first, first + max(count, 1)))


@pytest.fixture
def fault_api(settings: Any) -> Iterator[FaultServer]:
    """Return a fault server of this test's own; the host's `TRACK360` setting leads to it."""
    with FaultServer() as server:
        settings.TRACK360 = {
            **settings.TRACK360,
            "BASE_URL": server.url,
            "BRAND_TOKEN": TOKEN,
            "ALLOW_HTTP": True,
            "CONNECT_TIMEOUT_SECONDS": 1.0,
            "READ_TIMEOUT_SECONDS": 1.0,
            "TOTAL_TIMEOUT_SECONDS": 1.5,
        }
        yield server
