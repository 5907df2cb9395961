"""How the stories of a host are kept, and that they are told once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.sources.stories import Storyteller, told

pytestmark = pytest.mark.standalone


def test_host_runs_once_for_all_processes_of_a_run(storyteller: Path) -> None:
    """Another process of the same run reads what the first one was told, and starts nothing."""
    first = told("plain")
    other = Storyteller(storyteller)

    assert other.told("plain") == first
    assert not other._processes


def test_stories_are_told_under_every_server_with_every_session_backend() -> None:
    """WSGI and uvicorn, with sessions in the database, in the cache and in signed cookies."""
    assert set(told("plain")) == {
        f"{server} {backend}" for server in ("wsgi", "asgi") for backend in ("db", "cache", "signed_cookies")
    }
