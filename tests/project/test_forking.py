"""Processes that are forked from a warm one: each is what a process of its own would be."""

from __future__ import annotations

from pathlib import Path

import pytest

from example_project.processes import ServerError
from tests.forking import WarmProcess

pytestmark = pytest.mark.standalone

SCRIPT = """
import os, sys
import colorsys, neighbour
print(sys.argv[1:], os.getcwd(), sorted(os.environ), sys.stdin.read() == "", "csv" in sys.modules, "json" in vars(os))
print("a complaint", file=sys.stderr)
import csv
os.json = 1
sys.exit(int(sys.argv[1]))
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """Return a script in a folder of its own, with a module beside it."""
    (tmp_path / "neighbour.py").touch()
    path = tmp_path / "script.py"
    path.write_text(SCRIPT)
    return path


def test_fork_is_a_process_of_its_own(script: Path) -> None:
    """Arguments, folder, environment, streams and exit code are its own; what one imports or changes, the next lacks."""
    output, errors = script.with_name("output"), script.with_name("errors")
    found = []

    with WarmProcess(("colorsys", "no_such_module")) as python:
        for code in (3, 0):
            ended = python.run(
                "script.py",
                f"{code}",
                output=output,
                errors=errors,
                folder=script.parent,
                environment={"A": "1"},
            )
            found.append((ended, output.read_text(), errors.read_text()))

    said = f"{script.parent} ['A'] True False False\n"
    assert found == [(code, f"['{code}'] {said}", "a complaint\n") for code in (3, 0)]


def test_fork_that_fails_shows_why(tmp_path: Path) -> None:
    """An exception ends the fork alone, and its traceback is where the errors go."""
    (tmp_path / "script.py").write_text("raise RuntimeError('the reason')")
    output, errors = tmp_path / "output", tmp_path / "errors"

    with WarmProcess(()) as python:
        codes = [
            python.run("script.py", output=output, errors=errors, folder=tmp_path, environment={})
            for _ in range(2)
        ]

    assert codes == [1, 1]
    assert "RuntimeError: the reason" in errors.read_text()


def test_warm_process_that_ended_is_an_error(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Nothing is forked from a process that could not import what it was asked for."""
    with (
        WarmProcess(("tests.no_such_module",)) as python,
        pytest.raises(ServerError, match="ended with code 1"),
    ):
        python.run("-m", "this", output=tmp_path / "output", errors=tmp_path / "errors")

    assert "No module named 'tests.no_such_module'" in capfd.readouterr().err
