"""A run of the suite: its processes divide the tests, nothing is lost without a word, and it leaves nothing behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from example_project.processes import dying_with_parent
from example_project.settings import BASE_DIR
from tests.suite import durations
from tests.suite.durations import Durations
from tests.suite.events import Ended, ProcessEvents, Results
from tests.suite.summary import counts, last_line

pytestmark = pytest.mark.standalone

# A run of a small suite in a folder of its own, on one or two "databases" that it knows nothing of.
RUN = """
import signal, sys
from pathlib import Path
# A shell starts what runs in its background without Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)
from tests.suite.run import Run
sys.exit(Run(databases=sys.argv[2].split(","), root=Path(sys.argv[1]), is_preparing=False, processes=2,
             arguments=sys.argv[3:]).run())
"""
CONFTEST = """
def pytest_addoption(parser):
    parser.addoption("--database")
    parser.addoption("--once", action="store_true")
"""
TIMEOUT_SECONDS = 120


@pytest.fixture
def suite(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a small suite: names of modules and their content."""
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")

    def write(**modules: str) -> Path:
        for name, content in modules.items():
            (tmp_path / f"test_{name}.py").write_text(content)
        return tmp_path

    return write


def start(folder: Path, databases: str = "sqlite", *arguments: str) -> subprocess.Popen[str]:
    """Start a run in a process group of its own."""
    unwanted = ("track360_django.testing", "django", "celery")
    plugins = [word for name in unwanted for word in ("-p", f"no:{name}")]
    return subprocess.Popen(
        dying_with_parent([sys.executable, "-c", RUN, str(folder), databases, *plugins, *arguments]),
        cwd=BASE_DIR,
        env={**os.environ, "PYTHONPATH": str(BASE_DIR), "TMPDIR": str(folder)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def run(folder: Path, databases: str = "sqlite", *arguments: str) -> tuple[int, str]:
    """Run a small suite; return its exit code and what it printed."""
    with start(folder, databases, *arguments) as process:
        said, _ = process.communicate(timeout=TIMEOUT_SECONDS)
    return process.returncode, said


def left_behind(folder: Path) -> list[str]:
    """Return the folders of runs that are still there."""
    return [path.name for path in folder.glob("t360-*")]


def test_processes_divide_the_tests_and_each_runs_once(suite: Callable[..., Path]) -> None:
    """Two processes take modules in turn; together they run each test once, on each database."""
    module = "import os, pathlib\ndef test_{}():\n    with open('ran', 'a') as ran: ran.write(f'{{os.getpid()}} {}\\n')\n"
    folder = suite(**{name: module.format(name, name) for name in "abcdefgh"})

    code, said = run(folder, "sqlite,postgres")

    ran = [line.split() for line in (folder / "ran").read_text().splitlines()]
    assert code == 0, said
    assert sorted(name for _, name in ran) == sorted("abcdefgh" * 2)
    *_, one, other, last = said.splitlines()
    assert one == "sqlite: 8 passed, 0 failed, 0 skipped"
    assert other == "postgres: 8 passed, 0 failed, 0 skipped"
    assert re.fullmatch(r"passed: 16 passed, 0 skipped, \d+ s", last)
    assert left_behind(folder) == []


def test_failure_is_shown_in_full_with_its_database(suite: Callable[..., Path]) -> None:
    """The assertion, what was printed, and the database stand in the output; the run ends with 1."""
    folder = suite(a="def test_bad():\n    print('before')\n    assert 1 == 2\ndef test_good(): pass\n")

    code, said = run(folder)

    assert code == 1
    assert "=== FAILED on sqlite: test_a.py::test_bad" in said
    assert "assert 1 == 2" in said
    assert "before" in said
    assert "sqlite: 1 passed, 1 failed, 0 skipped" in said
    assert said.splitlines()[-1].startswith("FAILED: 1 passed, 1 failed")


def test_skipped_tests_are_counted_with_their_reasons(suite: Callable[..., Path]) -> None:
    """The last line says how many were skipped, and why."""
    folder = suite(
        a="import pytest\n@pytest.mark.parametrize('n', range(3))\ndef test_s(n): pytest.skip('no tea')\n"
        "@pytest.mark.skip(reason='no milk')\ndef test_t(): pass\ndef test_u(): pass\n"
    )

    code, said = run(folder)

    assert code == 0
    assert "passed: 1 passed, 4 skipped (3 no tea; 1 no milk)" in said.splitlines()[-1]


def test_process_that_dies_is_a_failure_that_names_its_test(suite: Callable[..., Path]) -> None:
    """A test that kills its process is named, and so is how many tests did not run."""
    folder = suite(
        a="import os, signal\ndef test_killer(): os.kill(os.getpid(), signal.SIGKILL)\n",
        **dict.fromkeys("bcd", "def test_good(): pass\n"),
    )

    code, said = run(folder)

    assert code == 1
    assert "sqlite: a process ended while test_a.py::test_killer ran." in said
    assert "tests did not run." in said
    assert "ended with code -9" in said


def test_tests_that_differ_from_process_to_process_are_a_failure(suite: Callable[..., Path]) -> None:
    """An id that has the address of an object would be lost without a word; here it is said."""
    folder = suite(
        a="import os, pytest\n@pytest.mark.parametrize('n', [os.getpid()])\ndef test_one(n): pass\n",
        b="def test_two(): pass\n",
    )

    code, said = run(folder)

    assert code == 1
    assert "the processes collected different tests" in said


def test_module_that_can_not_be_read_is_a_failure(suite: Callable[..., Path]) -> None:
    """An error during the collection ends the run, with pytest's own words."""
    folder = suite(a="import nothing_of_this_name\n", b="def test_two(): pass\n")

    code, said = run(folder)

    assert code != 0
    assert "nothing_of_this_name" in said


def test_text_that_is_no_utf8_is_told_like_any_other(suite: Callable[..., Path]) -> None:
    """A surrogate in a message, over which other ways of dividing a suite lose tests, costs nothing."""
    folder = suite(a="def test_bad():\n    print('\\udc80')\n    assert False, '\\udc80'\n")

    code, said = run(folder)

    assert code == 1
    assert "sqlite: 0 passed, 1 failed, 0 skipped" in said


def test_order_is_random_and_can_be_repeated(suite: Callable[..., Path]) -> None:
    """The seed is printed; with it, the processes take the tests in the same order."""
    module = "import pytest\n@pytest.mark.parametrize('n', range(40))\ndef test_n(n):\n    open('{}', 'a').write(f'{{n}} ')\n"
    folder = suite(a=module.format("ran"))

    _, said = run(folder)
    first = (folder / "ran").read_text()
    (folder / "ran").unlink()
    seed = re.search(r"--randomly-seed=(\d+)", said)
    assert seed is not None
    run(folder, "sqlite", "-p", "randomly", f"--randomly-seed={seed[1]}")

    assert first.split() != sorted(first.split(), key=int)
    assert (folder / "ran").read_text() == first


WAITING = "import pathlib, time\ndef test_w():\n    pathlib.Path('begun-{}').touch()\n    time.sleep(600)\n"


def wait_for_both(folder: Path, process: subprocess.Popen[str]) -> None:
    """Return when both processes of a run are in a test."""
    while not all((folder / f"begun-{name}").exists() for name in "ab"):
        assert process.poll() is None
        time.sleep(0.01)


def test_interrupted_run_ends_with_its_summary_and_leaves_nothing(suite: Callable[..., Path]) -> None:
    """Ctrl-C ends all processes; what was done is counted, and the exit code is pytest's."""
    folder = suite(a=WAITING.format("a"), b=WAITING.format("b"))
    process = start(folder)
    wait_for_both(folder, process)

    os.killpg(process.pid, signal.SIGINT)
    said, _ = process.communicate(timeout=TIMEOUT_SECONDS)

    assert process.returncode == 2
    assert "Interrupted." in said
    assert "tests did not run." in said
    assert left_behind(folder) == []


def test_killed_run_leaves_no_process(suite: Callable[..., Path]) -> None:
    """After kill -9 its processes end by themselves; its folder goes with the next start."""
    pid = "import os, pathlib\npathlib.Path('pid-{}').write_text(str(os.getpid()))\n"
    folder = suite(a=pid.format("a") + WAITING.format("a"), b=pid.format("b") + WAITING.format("b"))
    process = start(folder)
    wait_for_both(folder, process)
    pids = [int((folder / f"pid-{name}").read_text()) for name in "ab"]

    process.kill()
    process.communicate(timeout=TIMEOUT_SECONDS)

    while any(
        Path(f"/proc/{pid}/cmdline").exists()
        and b"suite-process" in Path(f"/proc/{pid}/cmdline").read_bytes()
        for pid in pids
    ):
        time.sleep(0.01)
    for path in folder.glob("test_*"):
        path.unlink()
    run(suite(c="def test_good(): pass\n"))
    assert left_behind(folder) == []


# What is said at the end.


def ended(name: str, outcome: str = "passed", text: str = "") -> Ended:
    """Return a test that has ended."""
    return Ended(database="sqlite", id=name, outcome=outcome, text=text, seconds=1.0, cpu=0.5)


def results(*all_ended: Ended, tests: int) -> Results:
    """Return the results of a run of some tests."""
    process = ProcessEvents(database="sqlite", path=Path("nowhere"), tests=tests, digest="one")
    return Results(database="sqlite", processes=[process], ended={each.id: each for each in all_ended})


def test_test_that_did_not_run_is_said() -> None:
    """What was collected and has not ended makes a sentence."""
    found = results(ended("a::b"), tests=3)

    assert list(found.faults()) == ["sqlite: 2 of 3 tests did not run."]


def test_last_line_names_reasons_by_their_number() -> None:
    """The most frequent reason comes first; a long one is cut."""
    found = results(
        ended("a::1"),
        *(ended(f"a::{n}", "skipped", "why" if n > 2 else "x" * 99) for n in range(2, 6)),
        tests=5,
    )

    assert counts(found) == "sqlite: 1 passed, 0 failed, 4 skipped"
    assert (
        last_line([found], 61.4, is_good=True) == f"passed: 1 passed, 4 skipped (3 why; 1 {'x' * 59}…), 61 s"
    )


def test_each_module_that_was_measured_is_there() -> None:
    """A module that is gone or renamed is measured anew (`manage.py test --record-durations`)."""
    measured = {name for database in ("sqlite", "postgres") for name in Durations.read(database).seconds}

    assert measured
    assert [name for name in sorted(measured) if not (BASE_DIR / name).is_file()] == []


def test_only_what_takes_long_comes_first() -> None:
    """The others stay in random order."""
    known = Durations({"tests/a.py": durations.LONG_SECONDS + 1, "tests/b.py": durations.LONG_SECONDS - 1})

    assert known.long_seconds_of("tests/a.py::test_x[1]") == durations.LONG_SECONDS + 1
    assert known.long_seconds_of("tests/b.py::test_x") == 0
    assert known.long_seconds_of("tests/new.py::test_x") == 0
