"""`manage.py` as a person in a clone meets it: without Django, and at the end of the suite."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import bootstrap
from example_project.demo.management.commands.test import DATABASES, exit_code, must_run_alone, summary
from example_project.processes import dying_with_parent
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
        ([2, 2], "sqlite: interrupted · postgres: interrupted", 2),
    ],
    ids=["both passed", "one failed", "one had none", "both had none", "interrupted in turn", "interrupted"],
)
def test_suite_on_both_databases_ends_with_one_line(codes: list[int], said: str, code: int) -> None:
    """The last line says how each database ended; the exit code is that of the first that failed."""
    assert summary(DATABASES, codes) == said
    assert exit_code(codes) == code


# Two runs in turn, as `manage.py test --pdb` starts them: it says what they answered, in JSON on the last line.
RUN = """
import json, sys
from django.conf import settings
settings.configure(BASE_DIR=sys.argv[1])
from example_project.demo.management.commands.test import run_in_turn
from example_project.processes import dying_with_parent
commands = [dying_with_parent([sys.executable, "-c", code]) for code in sys.argv[2:]]
print(json.dumps(run_in_turn(commands, ["first run", "second run"])))
"""
# Answers Ctrl-C as pytest does.
INTERRUPTED = """
import pathlib, signal, sys
signal.signal(signal.SIGINT, lambda *_: (print("{mine} interrupted"), sys.exit(2)))
print("{mine} begins", flush=True)
pathlib.Path("{mine}").touch()
while True:
    signal.pause()
"""


def run(tmp_path: Path, *codes: str) -> subprocess.Popen[str]:
    """Start two runs in a folder, in a process group of their own."""
    return subprocess.Popen(
        dying_with_parent([sys.executable, "-c", RUN, str(tmp_path), *codes]),
        cwd=BASE_DIR,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def test_interrupted_run_ends_with_its_summary(tmp_path: Path) -> None:
    """Ctrl-C reaches the whole group: the run that was begun says how far it came, and the other one never begins."""
    process = run(tmp_path, *(INTERRUPTED.format(mine=name) for name in "ab"))
    while not (tmp_path / "a").exists():
        assert process.poll() is None
        time.sleep(0.01)

    os.killpg(process.pid, signal.SIGINT)

    said = ["first run", "a begins", "a interrupted", "[2]"]
    assert process.communicate(timeout=60)[0].splitlines() == said
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("arguments", "is_alone"),
    [
        (["-q", "-k", "deposit"], False),
        (["--pdb"], True),
        (["-x", "--trace"], True),
        (["--basetemp=/tmp/x"], True),
        (["-s"], True),
        (["--collect-only"], True),
        (["tests/test_basetemp.py"], False),
    ],
)
def test_run_that_talks_to_a_person_has_the_terminal_to_itself(
    arguments: list[str], *, is_alone: bool
) -> None:
    """A debugger, or a folder for one run, makes the runs come one after the other."""
    assert must_run_alone(arguments) is is_alone
