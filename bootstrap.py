"""
Makes the environment that `python3 manage.py demo` and `test` run in; standard library only.

`ensure("demo")` makes `.venv` in the project, installs the project there with that extra, and becomes the same command
run by that environment's Python. Nothing is installed anywhere else. Later starts cost the reading of one file.

- `TRACK360_VENV` names another folder for the environment.
- `TRACK360_BOOTSTRAP=off` takes the Python that runs, as it is.
- `python3 bootstrap.py FOLDER REQUIREMENT…` makes or completes any environment, by the same means.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn, TextIO

PROJECT = Path(__file__).resolve().parent
# Lies in every environment that is ours: marks it, and is the lock between two starts at the same time.
MARK = ".track360-lock"
# Written last, removed first: an environment without it is half-made.
STAMP = ".track360-stamp.json"
# What another environment leaves in a shell, and what would make an installer put packages elsewhere.
FOREIGN = (
    "CONDA_PREFIX",
    "PIP_PREFIX",
    "PIP_PYTHON",
    "PIP_REQUIRE_VIRTUALENV",
    "PIP_ROOT",
    "PIP_TARGET",
    "PYTHONHOME",
    "PYTHONPATH",
    "UV_PROJECT_ENVIRONMENT",
    "UV_PYTHON",
    "UV_SYSTEM_PYTHON",
    "UV_TARGET",
    "VIRTUAL_ENV",
    "__PYVENV_LAUNCHER__",
)
NO_INSTALLER = (
    "This Python ({python}) can neither make pip (no `ensurepip`) nor has it one, and `uv` is not on the PATH.\n"
    "On Debian and Ubuntu: `apt-get install python3-venv`. Elsewhere: install pip or uv. Then start again."
)


def ensure(extra: str) -> None:
    """
    Run the present command in the project's own environment, which has everything of `extra`.

    Returns when this process already is in it; else becomes the environment's Python (`execve`) or exits with a reason.
    """
    if os.environ.get("TRACK360_BOOTSTRAP", "").lower() in {"off", "0", "no"}:
        return
    venv = choose_folder(extra)
    try:
        if not is_ready(venv, extra):
            prepare(venv, extra)
    except KeyboardInterrupt:
        stop("Interrupted. The next start begins again from here.", code=130)
    if Path(sys.prefix).resolve() != venv.resolve():
        python = str(python_of(venv))
        os.execve(python, [python, *sys.orig_argv[1:]], clean_environment())  # noqa: S606 - that is the purpose


def choose_folder(extra: str) -> Path:
    """
    Return where the environment is or will be.

    `TRACK360_VENV`, else `.venv` in the project; `.venv-track360` when somebody made a `.venv` of their own; a folder in
    the user's cache when the project can't be written.
    """
    if named := os.environ.get("TRACK360_VENV"):
        venv = Path(named).absolute()
        if not is_ours(venv):
            stop(
                f"TRACK360_VENV names {venv}, which holds something else: name a folder that is new or empty."
            )
        return venv
    for name in (".venv", ".venv-track360"):
        venv = PROJECT / name
        if is_ready(venv, extra) or (is_ours(venv) and is_writable(venv)):
            return venv
    return cache_folder()


def cache_folder() -> Path:
    """Return a folder of this project's in the user's cache."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser())
    return cache / "track360-django" / hashlib.sha256(str(PROJECT).encode()).hexdigest()[:12]


def is_ours(venv: Path) -> bool:
    """Tell whether a folder may be filled and emptied: it is not there, empty, or made here before."""
    try:
        # One look: the mark is the first thing that another start puts there.
        names = [entry.name for entry in venv.iterdir()]
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return not names or MARK in names


def is_writable(venv: Path) -> bool:
    """Tell whether this user may make or change the folder."""
    if venv.exists():
        return os.access(venv, os.W_OK) and os.access(
            venv / MARK if (venv / MARK).exists() else venv, os.W_OK
        )
    return os.access(venv.parent, os.W_OK)


def is_ready(venv: Path, extra: str) -> bool:
    """Tell whether the environment was finished for this project as it is now, with this extra."""
    stamp = read_stamp(venv)
    return (
        stamp.get("identity") == identity(venv)
        and stamp.get("requirements") == requirements()
        and extra in stamp.get("extras", [])
        and is_usable(venv)
    )


def is_usable(venv: Path) -> bool:
    """Tell whether the environment's Python is there; the one it was made from may have gone."""
    return os.access(python_of(venv), os.X_OK) and (venv / "pyvenv.cfg").is_file()


def identity(venv: Path) -> list[str]:
    """Return what can't change without making the environment anew: Python, and where both folders are."""
    return [sys.implementation.cache_tag, str(PROJECT), str(venv.resolve())]


def requirements() -> str:
    """Return the fingerprint of what the project asks for."""
    return hashlib.sha256((PROJECT / "pyproject.toml").read_bytes()).hexdigest()


def read_stamp(venv: Path) -> dict[str, Any]:
    """Return what was noted when the environment was finished, or nothing."""
    try:
        stamp = json.loads((venv / STAMP).read_text())
    except (OSError, ValueError):
        return {}
    return stamp if isinstance(stamp, dict) else {}


def prepare(venv: Path, extra: str) -> None:
    """Make the environment, or complete it; one start at a time."""
    with locked(venv):
        if is_ready(venv, extra):
            return
        stamp = read_stamp(venv)
        is_kept = stamp.get("identity") == identity(venv) and is_usable(venv)
        extras = {extra, *(stamp.get("extras", []) if is_kept else [])}
        (venv / STAMP).unlink(missing_ok=True)
        if is_kept:
            say(f"Adding to {shown(venv)} what `manage.py {extra}` needs: once, less than a minute.")
        else:
            say(f"Preparing {shown(venv)} for `manage.py {extra}`: once, about a minute.")
        with removed_if_refused(venv, is_new=not is_kept):
            if not is_kept:
                make(venv)
            install(venv, ["--editable", f"{PROJECT}[{','.join(sorted(extras))}]"])
        finished = {"identity": identity(venv), "requirements": requirements(), "extras": sorted(extras)}
        (venv / STAMP).write_text(json.dumps(finished))


@contextlib.contextmanager
def locked(venv: Path) -> Iterator[None]:
    """Hold the environment for one process; the kernel lets go when that process ends, however it ends."""
    lock = open_lock(venv)
    is_waiting = False
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not is_waiting:
                say(f"Another start is preparing {shown(venv)}: waiting for it.")
            is_waiting = True
            fcntl.flock(lock, fcntl.LOCK_EX)
        if is_same_file(lock, venv / MARK):
            break
        # The other start could not make it, and removed the folder.
        lock.close()
        lock = open_lock(venv)
    with lock:
        yield


def open_lock(venv: Path) -> TextIO:
    """Open the file that is the lock of an environment, or end with a reason."""
    while True:
        try:
            venv.mkdir(parents=True, exist_ok=True)
            return (venv / MARK).open("a")
        except FileNotFoundError:
            # Another start has removed the folder in between.
            continue
        except OSError as error:
            way_out = "Name a folder of yours: `TRACK360_VENV=~/track360-venv python3 manage.py …`."
            stop(f"Can't write the environment's folder {venv} ({error.strerror}).\n{way_out}")


def is_same_file(opened: TextIO, path: Path) -> bool:
    """Return whether a path still leads to an open file."""
    try:
        return os.path.samestat(os.fstat(opened.fileno()), path.stat())
    except FileNotFoundError:
        return False


@contextlib.contextmanager
def removed_if_refused(venv: Path, *, is_new: bool) -> Iterator[None]:
    """Leave no folder behind when a new environment can't be made; the caller holds its lock."""
    try:
        yield
    except SystemExit:
        if is_new:
            shutil.rmtree(venv, ignore_errors=True)
        raise


def make(venv: Path) -> None:
    """Empty the folder and make a bare environment in it; the lock stays."""
    for entry in venv.iterdir():
        if entry.name == MARK:
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
    # Without pip: Debian splits `ensurepip` off, and uv needs none.
    failure = run([base_python(), "-I", "-m", "venv", "--without-pip", venv])
    if failure:
        stop(
            f"Could not make {venv}:\n{failure}\nOn Debian and Ubuntu: `apt-get install python3-venv`. Then start again."
        )


def make_named(venv: Path, *steps: Sequence[str], stamp: Mapping[str, Any] | None = None) -> None:
    """
    Make or complete an environment of any name with any requirements, asked for one step after the other.

    With a stamp it is noted there when all is done, and an environment that has this stamp is left as it is.
    """
    if not is_ours(venv):
        stop(f"{venv} holds something else: name a folder that is new or empty.")
    with locked(venv):
        is_whole = is_usable(venv)
        found = read_stamp(venv)
        if stamp is not None:
            if is_whole and found == stamp:
                return
            (venv / STAMP).unlink(missing_ok=True)
        # One that has never been finished is as good as none.
        with removed_if_refused(venv, is_new=not is_whole or (stamp is not None and not found)):
            if not is_whole:
                make(venv)
            for requirements in steps:
                install(venv, requirements)
        if stamp is not None:
            (venv / STAMP).write_text(json.dumps(stamp))


def install(venv: Path, requirements: Sequence[str]) -> None:
    """Install into the environment what `pip install` would be asked for, by the first installer that can."""
    failure = ""
    for installer in installers(venv):
        failure = run([*installer, *requirements])
        if not failure:
            return
    if not failure:
        stop(NO_INSTALLER.format(python=base_python()))
    registry = "If the package registry did not answer: `pip config list` shows which one pip is set up for."
    stop(f"Could not install into {shown(venv)}:\n{failure}\n{registry} Then start again.")


def installers(venv: Path) -> Iterator[Sequence[str | Path]]:
    """
    Yield the ways to install into an environment, best first.

    uv does not read pip's configuration, so where the registry is known to pip alone it fails and pip has its turn.
    """
    python = python_of(venv)
    if uv := shutil.which("uv"):
        yield [uv, "pip", "install", "--quiet", "--python", python]
    arguments: list[str | Path] = ["install", "--quiet", "--disable-pip-version-check", "--no-input"]
    # A pip that can install elsewhere (22.3) spares the seconds of making one.
    ours: list[str | Path] = [base_python(), "-m", "pip", "--python", python]
    if not run([*ours, "--version"]):
        yield [*ours, *arguments]
    elif not run([python, "-I", "-m", "ensurepip"]):
        yield [python, "-m", "pip", *arguments]


def run(command: Sequence[str | Path]) -> str:
    """Run a command quietly and return nothing, or why it failed: the end of what it said."""
    try:
        done = subprocess.run(
            list(map(str, command)),
            env=clean_environment(),
            cwd=PROJECT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
    except OSError as error:
        return str(error)
    if done.returncode == 0:
        return ""
    return "\n".join(done.stdout.splitlines()[-25:]) or f"{command[0]} ended with code {done.returncode}"


def clean_environment() -> dict[str, str]:
    """Return the environment without what belongs to another Python."""
    environment = {name: value for name, value in os.environ.items() if name not in FOREIGN}
    return {**environment, "PIP_USER": "0"}


def base_python() -> str:
    """Return the Python that environments are made from, also when another environment is active."""
    return getattr(sys, "_base_executable", "") or sys.executable


def python_of(venv: Path) -> Path:
    """Return the environment's Python."""
    return venv / "bin" / "python"


def shown(path: Path) -> str:
    """Return a path as a person in the project's folder would write it."""
    return str(path.relative_to(PROJECT)) if path.is_relative_to(PROJECT) else str(path)


def say(sentence: str) -> None:
    """Tell the person who waits."""
    print(sentence, file=sys.stderr, flush=True)  # noqa: T201 - there is no Django yet, nor a logger set up


def stop(reason: str, *, code: int = 1) -> NoReturn:
    """End with a reason."""
    say(reason)
    sys.exit(code)


if __name__ == "__main__":
    make_named(Path(sys.argv[1]).absolute(), sys.argv[2:])
