"""Fixtures of the tests in a real browser."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from example_project.processes import ServerError
from tests.browser.chromium import Chromium, Tab, chromium
from tests.browser.shore import Site, site


@pytest.fixture(scope="session")
def browser() -> Iterator[Chromium]:
    """Return the browser of this run, started once."""
    with contextlib.ExitStack() as stack:
        try:
            running = stack.enter_context(chromium())
            running.call("Browser.getVersion")
        except ServerError as error:
            pytest.skip(f"needs a Chromium that runs: {error}")
        yield running


@pytest.fixture(scope="session")
def kept_tab(browser: Chromium) -> Tab:
    """Return the one tab of this run: a new one costs as much as a test."""
    return browser.tab()


@pytest.fixture
def tab(kept_tab: Tab) -> Tab:
    """Return a tab of a visitor whom nobody has seen."""
    kept_tab.forget()
    return kept_tab


@pytest.fixture
def cdn() -> Iterator[Site]:
    """Return a site that a CDN serves."""
    with site() as found:
        yield found


@pytest.fixture
def stranger() -> Iterator[Site]:
    """Return a site that belongs to somebody else, or at least to another origin."""
    with site({"Access-Control-Allow-Origin": "*"}) as found:
        yield found
