"""
What tests need beside the project's environment, fetched before they ask for it: `python -m tests.preparation`.

A test that comes earlier waits by the same locks. What can't be fetched is no error here: its tests say what to do.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final

from example_project.processes import ServerError
from tests.browser import chromium
from tests.pages import ROOT
from tests.sources.environments import REQUIREMENTS, MissingEnvironmentError, python_for

# What is fetched, by the word that a person reads.
FETCHED: Final[dict[str, Callable[[], object]]] = {
    "the browser": chromium.find,
    **{f"the environment {name!r}": partial(python_for, name) for name in REQUIREMENTS},
}


@contextlib.contextmanager
def in_background() -> Iterator[None]:
    """Fetch everything in a process of its own, which ends with the `with` block, or with us, and its children with it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.preparation", "--until-the-end-of-input"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=ROOT,
        start_new_session=True,
    )
    with process:
        try:
            yield
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def end_with_the_input() -> None:
    """Kill this process and its children when the one that started it is gone, however it ended."""
    sys.stdin.read()
    os.killpg(0, signal.SIGKILL)


def fetch(name: str) -> str:
    """Fetch one thing, and return a line about it."""
    try:
        return f"{name}: {FETCHED[name]()}"
    except (ServerError, MissingEnvironmentError) as error:
        return f"{name} is missing: {error}"


def main() -> None:
    """Fetch all at once, and say what became of each."""
    if "--until-the-end-of-input" in sys.argv:
        threading.Thread(target=end_with_the_input, daemon=True).start()
    with ThreadPoolExecutor() as pool:
        for line in pool.map(fetch, FETCHED):
            print(line, flush=True)  # noqa: T201  what the person reads


if __name__ == "__main__":
    main()
