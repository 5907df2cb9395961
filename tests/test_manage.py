"""`manage.py` as a person in a clone meets it: without Django, and at the end of the suite."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import bootstrap
from example_project.demo.management.commands.test import DATABASES, exit_code, summary
from example_project.settings import BASE_DIR

pytestmark = pytest.mark.standalone


def check_without_django(venv: Path) -> subprocess.CompletedProcess[str]:
    """Run `manage.py check` in a Python that has no packages."""
    return subprocess.run(
        [sys.executable, "-E", "-S", "manage.py", "check"],
        cwd=BASE_DIR,
        env={**os.environ, "TRACK360_VENV": str(venv)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_python_without_django_is_told_to_run_the_demo_first(tmp_path: Path) -> None:
    """Before there is an environment, the command that makes one is named, and no traceback is shown."""
    done = check_without_django(tmp_path / "venv")

    assert done.returncode == 1
    assert "Run `python3 manage.py demo` first" in done.stderr
    assert "Traceback" not in done.stderr


def test_python_without_django_is_told_of_the_environment_that_has_it(tmp_path: Path) -> None:
    """Once there is an environment, the same command is named with its Python."""
    (tmp_path / bootstrap.MARK).touch()
    (tmp_path / bootstrap.STAMP).write_text('{"extras": ["demo"]}')

    done = check_without_django(tmp_path)

    assert done.returncode == 1
    assert f"{tmp_path}/bin/python manage.py check" in done.stderr
    assert "demo" not in done.stderr


@pytest.mark.parametrize(
    ("codes", "said", "code"),
    [
        ([0, 0], "sqlite: passed · postgres: passed", 0),
        ([1, 0], "sqlite: failed · postgres: passed", 1),
        ([0, 5], "sqlite: passed · postgres: no tests", 0),
        ([5, 5], "sqlite: no tests · postgres: no tests", 5),
        ([2], "sqlite: interrupted · postgres: not run", 2),
    ],
    ids=["both passed", "one failed", "one had none", "both had none", "interrupted"],
)
def test_suite_on_both_databases_ends_with_one_line(codes: list[int], said: str, code: int) -> None:
    """The last line says how each database ended; the exit code is that of the first that failed."""
    assert summary(DATABASES, codes) == said
    assert exit_code(codes) == code
