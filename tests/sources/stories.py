"""
The stories of each host, told once in a run of the suite, in a process of the host's own.

Several processes of one run meet in a folder: who asks for a host that another one is running waits for its stories.
"""

from __future__ import annotations

import fcntl
import functools
import importlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import pytest

from tests.forking import DJANGO, WarmProcess
from tests.sources.environments import MissingEnvironmentError, python_for
from tests.sources.host import VALUE, Host

ATTRIBUTED: Final = {"tracking_data": VALUE}

# What all hosts import before they have settings.
SHARED: Final = (
    *DJANGO,
    "kombu.transport.memory",
    "tests.sources.serving",
    "tests.sources.shared_key",
    "tests.sources.social",
    "uvicorn.lifespan.off",
    "uvicorn.loops.auto",
    "uvicorn.protocols.http.auto",
)

Row = dict[str, Any]
Stories = dict[str, dict[str, list[Row]]]


class Storyteller:
    """
    Runs the hosts that tests ask for.

    Args:
        folder: Where the stories are kept; processes of one run share it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._processes: dict[Path, WarmProcess] = {}

    def close(self) -> None:
        """End the processes that hosts are forked from."""
        for process in self._processes.values():
            process.close()

    def told(self, host: str) -> Stories:
        """Return the rows of each story of a host, by server and session backend."""
        python = _python_of(host)
        with (self._folder / f"{host}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            kept = self._folder / f"{host}.json"
            if not kept.exists():
                self._tell(host, python).rename(kept)
        stories: Stories = json.loads(kept.read_text().splitlines()[-1])["told"]
        assert len(stories) == 6, stories.keys()
        return stories

    def _tell(self, host: str, python: Path) -> Path:
        if python not in self._processes:
            self._processes[python] = WarmProcess(SHARED, python=python)
        output, errors = (self._folder / f"{host}.{suffix}" for suffix in ("output", "errors"))
        code = self._processes[python].run("-m", "tests.sources", host, output=output, errors=errors)
        assert code == 0, f"{host} ended with code {code}:\n{errors.read_text()[-4000:]}"
        return output


_storytellers: Final[list[Storyteller]] = []


@contextmanager
def telling(folder: Path) -> Iterator[None]:
    """Run hosts in this process of the suite, until the end of a `with` block."""
    folder.mkdir(exist_ok=True)
    storyteller = Storyteller(folder)
    _storytellers.append(storyteller)
    try:
        yield
    finally:
        _storytellers.remove(storyteller)
        storyteller.close()


@functools.cache
def told(host: str) -> Stories:
    """Return the rows of each story of a host, by server and session backend, told once in a process of its own."""
    return _storytellers[-1].told(host)


def _python_of(name: str) -> Path:
    host: Host = importlib.import_module(f"tests.sources.hosts.{name}").Site()
    try:
        python = python_for(host.environment)
    except MissingEnvironmentError as error:
        pytest.skip(f"{name}: no environment for it could be made: {error}")
    if not host.environment and name != "outdated":
        missing = [app for app in (*host.apps, "uvicorn") if find_spec(app.partition(".")[0]) is None]
        if missing:
            pytest.skip(f"{name}: {', '.join(missing)} is not installed here: pip install -e '.[test]'")
    return python
