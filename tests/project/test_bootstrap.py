"""The bootstrap: what it takes for its own, when it is ready, and that it installs nothing anywhere else."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

import bootstrap
from example_project.settings import BASE_DIR

pytestmark = pytest.mark.standalone

# A project that installs without a registry: nothing to build it with, nothing it needs.
PYPROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]

[project]
name = "tiny"
version = "1"
optional-dependencies = { demo = [], test = [] }
"""
BACKEND = """
import os, zipfile

def build_editable(directory, config_settings=None, metadata_directory=None):
    name = "tiny-1-py3-none-any.whl"
    info = "tiny-1.dist-info"
    metadata = "Metadata-Version: 2.1\\nName: tiny\\nVersion: 1\\nProvides-Extra: demo\\nProvides-Extra: test\\n"
    with zipfile.ZipFile(os.path.join(directory, name), "w") as wheel:
        wheel.writestr("tiny.pth", os.getcwd())
        wheel.writestr(info + "/METADATA", metadata)
        wheel.writestr(info + "/WHEEL", "Wheel-Version: 1.0\\nGenerator: t\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr(info + "/RECORD", "")
    return name
"""
SCRIPT = """
import sys
import bootstrap
bootstrap.ensure(sys.argv[1])
print(sys.prefix)
"""


# An installer that installs nothing, and notes what it was asked: most tests need no more.
UV = """#!/bin/sh
echo "$*" >> "${0%/*}/asked"
"""
# The same, which goes on when somebody says so.
SLOW_UV = f"""{UV}
until [ -e "${{0%/*}}/go" ]; do sleep 0.01; done
"""
STEERING = ("TRACK360_VENV", "TRACK360_BOOTSTRAP", "TMPDIR")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return the folder of a tiny project that has this bootstrap, with a uv beside it."""
    project = tmp_path / "project"
    project.mkdir()
    (project / "pyproject.toml").write_text(PYPROJECT)
    (project / "backend.py").write_text(BACKEND)
    (project / "start.py").write_text(SCRIPT)
    shutil.copy(BASE_DIR / "bootstrap.py", project)
    uv = tmp_path / "bin" / "uv"
    uv.parent.mkdir()
    uv.write_text(UV)
    uv.chmod(0o755)
    return project


def command(extra: str = "demo") -> list[str]:
    """Return the command that a person would type."""
    return [sys.executable, "start.py", extra]


def environment(project: Path, **variables: str) -> dict[str, str]:
    """Return our environment without what steers the bootstrap, with the uv that installs nothing first on the PATH."""
    ours = {name: value for name, value in os.environ.items() if name not in STEERING and name[:3] != "COV"}
    return {**ours, "PATH": f"{project.parent / 'bin'}:{os.environ['PATH']}", **variables}


def start(project: Path, extra: str = "demo", **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the tiny project's script to its end."""
    variables = environment(project, **variables)
    return subprocess.run(
        command(extra), cwd=project, env=variables, capture_output=True, text=True, check=False
    )


def remove_uv(project: Path) -> None:
    """Leave the bootstrap the installers that this machine has."""
    (project.parent / "bin" / "uv").unlink()


def stamp_of(venv: Path) -> dict[str, object]:
    """Return what the bootstrap noted."""
    stamp = json.loads((venv / bootstrap.STAMP).read_text())
    assert isinstance(stamp, dict)
    return stamp


def test_first_start_makes_the_environment_and_runs_in_it(project: Path) -> None:
    """The script goes on inside the project's own environment, where the project is installed."""
    remove_uv(project)

    done = start(project)

    assert done.stdout.strip() == str(project / ".venv"), done.stderr
    assert "Preparing .venv" in done.stderr
    assert list((project / ".venv").glob("lib/python*/site-packages/tiny.pth"))


def test_uv_on_the_path_is_the_installer(project: Path) -> None:
    """The installer uv is asked to install the project with the extra into the environment, and nothing else is tried."""
    start(project)

    asked = (project.parent / "bin" / "asked").read_text().splitlines()
    assert asked == [f"pip install --quiet --python {project}/.venv/bin/python --editable {project}[demo]"]


def test_failing_uv_leaves_it_to_pip(project: Path) -> None:
    """The installer uv does not know pip's registry: where it fails, pip installs."""
    (project.parent / "bin" / "uv").write_text("#!/bin/sh\nexit 2\n")

    done = start(project)

    assert done.stdout.strip() == str(project / ".venv"), done.stderr
    assert list((project / ".venv").glob("lib/python*/site-packages/tiny.pth"))


def test_second_start_prepares_nothing(project: Path) -> None:
    """A finished environment is used as it is, within the time of starting Python twice."""
    start(project)
    began = time.monotonic()

    done = start(project)

    assert done.stderr == ""
    assert time.monotonic() - began < 2


def test_second_extra_is_added_to_the_first(project: Path) -> None:
    """Both commands share one environment, and going back prepares nothing."""
    start(project, "demo")

    said = start(project, "test").stderr

    assert said.startswith("Adding to .venv what `manage.py test` needs")
    assert "Preparing" not in said
    assert stamp_of(project / ".venv")["extras"] == ["demo", "test"]
    assert start(project, "demo").stderr == ""


def test_changed_requirements_are_installed_over(project: Path) -> None:
    """A changed pyproject.toml is installed again, into the environment that is there."""
    start(project)
    kept = project / ".venv" / "kept"
    kept.touch()
    (project / "pyproject.toml").write_text(PYPROJECT + "\n# changed\n")

    assert "Adding to .venv" in start(project).stderr
    assert kept.exists()


def test_half_made_environment_is_made_anew(project: Path) -> None:
    """What an interrupted start left behind is thrown away."""
    venv = project / ".venv"
    (venv / "bin").mkdir(parents=True)
    (venv / bootstrap.MARK).touch()
    (venv / "bin" / "python").write_text("half a file")

    done = start(project)

    assert done.stdout.strip() == str(venv), done.stderr


def test_moved_project_makes_its_environment_anew(project: Path) -> None:
    """An environment that came along with a copied folder still points at the old one, so it is not used."""
    start(project)
    moved = project.with_name("moved")
    project.rename(moved)

    done = start(moved)

    assert done.stdout.strip() == str(moved / ".venv"), done.stderr
    assert "Preparing" in done.stderr


def test_environment_of_somebody_else_is_left_alone(project: Path) -> None:
    """A `.venv` that was made by hand stays as it is; ours goes beside it."""
    venv = project / ".venv"
    venv.mkdir()
    (venv / "pyvenv.cfg").write_text("mine")

    done = start(project)

    assert done.stdout.strip() == str(project / ".venv-track360"), done.stderr
    assert [entry.name for entry in venv.iterdir()] == ["pyvenv.cfg"]


def test_named_folder_is_used(project: Path, tmp_path: Path) -> None:
    """`TRACK360_VENV` names where the environment goes."""
    done = start(project, TRACK360_VENV=str(tmp_path / "elsewhere"))

    assert done.stdout.strip() == str(tmp_path / "elsewhere"), done.stderr
    assert not (project / ".venv").exists()


def test_named_folder_with_other_contents_is_refused(project: Path, tmp_path: Path) -> None:
    """A folder that holds something else is never emptied."""
    (tmp_path / "thesis.txt").touch()

    done = start(project, TRACK360_VENV=str(tmp_path))

    assert done.returncode == 1
    assert "name a folder that is new or empty" in done.stderr
    assert (tmp_path / "thesis.txt").exists()


def test_bootstrap_off_takes_the_python_that_runs(project: Path) -> None:
    """Switched off, it makes nothing."""
    done = start(project, TRACK360_BOOTSTRAP="off")

    assert Path(done.stdout.strip()) == Path(sys.prefix), done.stderr
    assert not (project / ".venv").exists()


def test_variables_of_another_environment_have_no_say(project: Path, tmp_path: Path) -> None:
    """An active environment, and settings that would send packages elsewhere, change nothing."""
    remove_uv(project)
    elsewhere = tmp_path / "elsewhere"
    variables = dict.fromkeys(("VIRTUAL_ENV", "PIP_TARGET", "PIP_PREFIX", "PYTHONPATH"), str(elsewhere))

    done = start(project, **variables, PIP_USER="1", PIP_REQUIRE_VIRTUALENV="1")

    assert done.stdout.strip() == str(project / ".venv"), done.stderr
    assert not elsewhere.exists()


def test_two_starts_at_once_prepare_once(project: Path, tmp_path: Path) -> None:
    """The second start waits for the first and finds the work done."""
    (tmp_path / "bin" / "uv").write_text(SLOW_UV)
    logs = [tmp_path / "first", tmp_path / "second"]
    starts = []
    for log in logs:
        with log.open("w") as said:
            starts.append(
                subprocess.Popen(
                    command(), cwd=project, env=environment(project), stdout=subprocess.PIPE, stderr=said
                )
            )

    # Whoever begins last waits: only then may the first be done.
    while not any("waiting for it" in log.read_text() for log in logs):
        assert all(process.poll() is None for process in starts), [log.read_text() for log in logs]
        time.sleep(0.01)
    (tmp_path / "bin" / "go").touch()
    outputs = [process.communicate()[0] for process in starts]

    assert [process.returncode for process in starts] == [0, 0], [log.read_text() for log in logs]
    assert {stdout.decode().strip() for stdout in outputs} == {str(project / ".venv")}
    assert sum("Preparing" in log.read_text() for log in logs) == 1
    assert len((tmp_path / "bin" / "asked").read_text().splitlines()) == 1


def test_waiting_start_says_what_it_waits_for(project: Path) -> None:
    """A person who starts twice is told why the second start is slow."""
    venv = project / ".venv"
    venv.mkdir()
    with (venv / bootstrap.MARK).open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        process = subprocess.Popen(command(), cwd=project, env=environment(project), stderr=subprocess.PIPE)
        assert process.stderr is not None
        assert process.stderr.readline().startswith(b"Another start is preparing .venv")

    process.communicate()
    assert process.returncode == 0


def test_failed_installation_shows_the_reason(project: Path) -> None:
    """The installer's own words are shown, and what must be there; nothing is taken for finished."""
    remove_uv(project)
    (project / "backend.py").write_text("raise RuntimeError('the reason')")

    done = start(project)

    assert done.returncode == 1
    assert "Could not install" in done.stderr
    assert "the reason" in done.stderr
    assert "Then start again." in done.stderr
    assert not (project / ".venv").exists()


def test_failed_addition_leaves_the_environment_that_was_there(project: Path) -> None:
    """What can't be added takes nothing away: only a folder that is new is removed."""
    start(project, "demo")
    uv = project.parent / "bin" / "uv"
    uv.write_text("#!/bin/sh\nexit 2\n")
    (project / "backend.py").write_text("raise RuntimeError('the reason')")

    done = start(project, "test")

    assert done.returncode == 1
    assert bootstrap.is_usable(project / ".venv")
    assert not (project / ".venv" / bootstrap.STAMP).exists()


def test_waiting_start_makes_what_the_other_could_not(project: Path) -> None:
    """A start that waited for one that failed, and removed its folder, begins with a folder of its own."""
    venv = project / ".venv"
    venv.mkdir()
    with (venv / bootstrap.MARK).open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        process = subprocess.Popen(
            command(), cwd=project, env=environment(project), stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert process.stderr is not None
        assert process.stderr.readline().startswith(b"Another start is preparing .venv")
        shutil.rmtree(venv)

    stdout, stderr = process.communicate()

    assert stdout.decode().strip() == str(venv), stderr
    assert stamp_of(venv)["extras"] == ["demo"]


NAMED = """
import sys
import bootstrap
bootstrap.make_named(bootstrap.PROJECT / "named", ["one"], ["two"], stamp={"asked": sys.argv[1]})
"""


def test_named_environment_is_made_once_for_each_stamp(project: Path) -> None:
    """An environment of another name is finished with its stamp, step by step, and completed when that changes."""
    (project / "start.py").write_text(NAMED)

    for asked in ("first", "first", "second"):
        assert start(project, asked).returncode == 0

    requests = (project.parent / "bin" / "asked").read_text().splitlines()
    assert [request.rpartition(" ")[2] for request in requests] == ["one", "two"] * 2
    assert stamp_of(project / "named") == {"asked": "second"}


def test_named_environment_that_can_not_be_finished_is_removed(project: Path) -> None:
    """Without a registry it says which one was asked, and leaves no folder behind."""
    (project / "start.py").write_text(NAMED)
    (project.parent / "bin" / "uv").write_text("#!/bin/sh\nexit 2\n")

    done = start(project, "first", PIP_NO_INDEX="1")

    assert done.returncode == 1
    assert "If the package registry did not answer" in done.stderr
    assert not (project / "named").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_read_only_project_uses_the_users_cache(project: Path, tmp_path: Path) -> None:
    """Where the project can't be written, the environment goes to the user's cache."""
    project.chmod(0o555)

    done = start(project, XDG_CACHE_HOME=str(tmp_path / "cache"))

    project.chmod(0o755)
    assert done.stdout.startswith(str(tmp_path / "cache" / "track360-django")), done.stderr
