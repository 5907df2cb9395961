"""The ledger of totals that tests declare, and a sandbox that takes corrections."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from pytest_django import Settings as HostSettings

from example_project.games.track360 import CustomerDay
from tests.configuration import configure
from tests.daily.player_days import Days, PlayerDay
from track360_django import activities

if TYPE_CHECKING:
    from track360_django.sandbox.server import SandboxServer


@pytest.fixture(autouse=True)
def nothing_is_agreed(settings: HostSettings) -> Iterator[None]:
    """Begin without what the example project agreed and declares: that is tried by itself."""
    configure(settings, EVENTS=(), PRODUCT_FIELD="")
    activities.unregister_daily(CustomerDay)
    yield
    activities.register_daily(CustomerDay)


@pytest.fixture
def ledger() -> Iterator[Days]:
    """Return what the declared ledger says, by the day."""
    PlayerDay._ledger = {}
    activities.register_daily(PlayerDay)
    yield PlayerDay._ledger
    activities.unregister_daily(PlayerDay)


@pytest.fixture
def track360_sandbox(track360_sandbox: SandboxServer) -> SandboxServer:
    """Return the sandbox as it is agreed for corrections: a later body takes the place of the first."""
    track360_sandbox.store._on_conflict = "replace"
    return track360_sandbox
