"""`manage.py` as a person in a clone meets it: without Django, and at the end of the suite."""

from __future__ import annotations

import json
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


# Two runs at once, as `manage.py test` starts them: it says what they answered, in JSON on the last line.
RUN = """
import json, sys
from django.conf import settings
settings.configure(BASE_DIR=sys.argv[1])
from example_project.demo.management.commands.test import run_{how}
from example_project.processes import dying_with_parent
commands = [dying_with_parent([sys.executable, "-c", code]) for code in sys.argv[2:]]
print(json.dumps(run_{how}(commands, ["first run", "second run"])))
"""
# Says something, waits until the other one has said something, and ends with its own code.
MEET = """
import pathlib, sys, time
pathlib.Path("{mine}").touch()
print("{mine} begins", flush=True)
while not pathlib.Path("{other}").exists():
    time.sleep(0.01)
print("{mine} ends", file=sys.stderr)
sys.exit({code})
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


def run(tmp_path: Path, how: str, *codes: str) -> subprocess.Popen[str]:
    """Start two runs in a folder, in a process group of their own."""
    return subprocess.Popen(
        dying_with_parent([sys.executable, "-c", RUN.format(how=how), str(tmp_path), *codes]),
        cwd=BASE_DIR,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def test_runs_go_on_at_the_same_time_and_speak_one_after_the_other(tmp_path: Path) -> None:
    """Each waits for the other's sign; what they say is not mixed, and both exit codes are told."""
    codes = [
        MEET.format(mine="a", other="b", code=0),
        MEET.format(mine="b", other="a", code=1),
    ]

    said, _ = run(tmp_path, "side_by_side", *codes).communicate(timeout=60)

    *lines, last = said.splitlines()
    assert json.loads(last) == [0, 1]
    assert lines == ["first run", "a begins", "a ends", "second run", "b begins", "b ends"]


@pytest.mark.parametrize(
    ("how", "said"),
    [
        (
            "side_by_side",
            ["first run", "a begins", "a interrupted", "second run", "b begins", "b interrupted", "[2, 2]"],
        ),
        ("in_turn", ["first run", "a begins", "a interrupted", "[2]"]),
    ],
)
def test_interrupted_runs_end_with_their_summaries(tmp_path: Path, how: str, said: list[str]) -> None:
    """Ctrl-C reaches the whole group: every run that was begun tells how far it came, and nothing is left."""
    process = run(tmp_path, how, *(INTERRUPTED.format(mine=name) for name in "ab"))
    begun = "ab" if how == "side_by_side" else "a"
    while not all((tmp_path / name).exists() for name in begun):
        assert process.poll() is None
        time.sleep(0.01)

    os.killpg(process.pid, signal.SIGINT)

    assert process.communicate(timeout=60)[0].splitlines() == said
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("arguments", "is_alone"),
    [
        (["-q", "-k", "deposit"], False),
        (["--pdb"], True),
        (["-x", "--trace"], True),
        (["--basetemp=/tmp/x"], True),
        (["tests/test_basetemp.py"], False),
    ],
)
def test_run_that_talks_to_a_person_has_the_terminal_to_itself(
    arguments: list[str], *, is_alone: bool
) -> None:
    """A debugger, or a folder for one run, makes the runs come one after the other."""
    assert must_run_alone(arguments) is is_alone
