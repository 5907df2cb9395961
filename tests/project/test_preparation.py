"""What is fetched in the background before tests ask for it: it ends with whoever started it."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from tests import preparation
from tests.pages import ROOT

pytestmark = pytest.mark.standalone

# A preparation whose installer hangs.
HANGING = """
import subprocess, sys
from tests.preparation import end_with_the_input
subprocess.Popen([sys.executable, "-c", "import time; print('begun', flush=True); time.sleep(60)"])
end_with_the_input()
"""


def test_preparation_ends_with_its_children_when_its_starter_is_gone() -> None:
    """However the suite ended, no installer goes on."""
    process = subprocess.Popen(
        [sys.executable, "-c", HANGING],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"begun\n"

    # Returns when nobody can write any more: both are gone.
    process.communicate(timeout=30)

    assert process.returncode == -signal.SIGKILL


def test_what_is_there_is_named() -> None:
    """Each thing is one line: where it is, or what to do."""
    assert preparation.fetch("the browser").startswith("the browser")
    assert set(preparation.FETCHED) == {"the browser", "the environment 'apart'"}
