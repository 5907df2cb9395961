"""The stories of each host, told once in a process of their own."""

from __future__ import annotations

import functools
import importlib
import json
import subprocess
from importlib.util import find_spec
from typing import Any, Final

import pytest

from tests.pages import ROOT
from tests.sources.environments import MissingEnvironmentError, python_for
from tests.sources.host import VALUE, Host

ATTRIBUTED: Final = {"tracking_data": VALUE}

Row = dict[str, Any]


@functools.cache
def told(host: str) -> dict[str, dict[str, list[Row]]]:
    """Return the rows of each story of a host, by server and session backend, told once in a process of their own."""
    command = [_python_of(host), "-m", "tests.sources", host]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    stories: dict[str, dict[str, list[Row]]] = json.loads(done.stdout.splitlines()[-1])["told"]
    assert len(stories) == 6, stories.keys()
    return stories


def _python_of(name: str) -> str:
    host: Host = importlib.import_module(f"tests.sources.hosts.{name}").Site()
    try:
        python = python_for(host.environment)
    except MissingEnvironmentError as error:
        pytest.skip(f"{name}: no environment for it could be made: {error}")
    if not host.environment and name != "outdated":
        missing = [app for app in (*host.apps, "uvicorn") if find_spec(app.partition(".")[0]) is None]
        if missing:
            pytest.skip(f"{name}: {', '.join(missing)} is not installed here: pip install -e '.[test]'")
    return str(python)
