"""
A warm process: `python -m tests.warm MODULE…` imports modules once, then forks Python processes that begin with them.

Each line of its standard input is an order: what would stand behind `python` on a command line, where, in which
environment, and the files for its output and its errors. The answer is the exit code. Tests talk to it by `tests/forking.py`; nothing of
theirs is imported here, for a fork has to be what a process of its own would be.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import runpy
import signal
import sys
import threading

PARENT_DEATH_SIGNAL = 1


def main(modules: list[str]) -> None:
    """Import modules, as far as they are installed, and fork for each order until the input ends."""
    for name in modules:
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name != name.partition(".")[0]:
                raise
    assert threading.active_count() == 1, "only a process of one thread may be forked"
    gc.collect()
    # What is imported stays for good: no fork looks at it again.
    gc.freeze()
    for line in sys.stdin:
        order = json.loads(line)
        child = os.fork()
        if not child:
            become(**order)
            return
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)  # noqa: T201  the answer


def become(
    *, arguments: list[str], folder: str, environment: dict[str, str], output: str, errors: str
) -> None:
    """Be a process of its own, in a fork."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PARENT_DEATH_SIGNAL, signal.SIGKILL)
    new = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    for standard, path, flags in (
        (0, os.devnull, os.O_RDONLY),
        (1, output, new),
        (2, errors, new | os.O_APPEND),
    ):
        opened = os.open(path, flags, 0o600)
        os.dup2(opened, standard)
        os.close(opened)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.path[0] = folder
    if arguments[0] == "-m":
        sys.argv = arguments[1:]
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = arguments
        runpy.run_path(arguments[0], run_name="__main__")


if __name__ == "__main__":
    main(sys.argv[1:])
