"""Fixtures of the tests of real auth packages."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sources import stories


@pytest.fixture(scope="session", autouse=True)
def storyteller(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Run the hosts, and return the folder where the processes of one run of the suite meet: each host runs once in it."""
    meeting: Path | None = pytestconfig.getoption("suite_folder", default=None)
    folder = meeting / "sources" if meeting else tmp_path_factory.mktemp("sources")
    with stories.telling(folder):
        yield folder
