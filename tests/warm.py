"""
A warm process: `python -m tests.warm MODULE…` imports modules once, then forks Python processes that begin with them.

Each line of its standard input is an order, and has one line as its answer:

- `{"start": …}` says what would stand behind `python` on a command line, where, in which environment, and the files for
  its output and its errors. The answer is the process id. The process leads a session of its own.
- `{"poll": PID}` and `{"wait": PID}` ask for an exit code. The answer to the first may be `null`: it still runs.

Tests talk to it by `tests/forking.py`; nothing of theirs is imported here, for a fork has to be what a process of its own
would be.
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
import tempfile
import threading
import types

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
        if start := order.get("start"):
            if not os.fork():
                become(**start)
                return
            continue
        pid = order.get("poll") or order["wait"]
        ended, status = os.waitpid(pid, os.WNOHANG if "poll" in order else 0)
        answer(os.waitstatus_to_exitcode(status) if ended else None)


def answer(value: int | None) -> None:
    """Answer an order."""
    print(json.dumps(value), flush=True)  # noqa: T201  the answer


def become(
    *, arguments: list[str], folder: str, environment: dict[str, str], output: str, errors: str
) -> None:
    """Be a process of its own, in a fork; answer when it can be told from its parent."""
    os.setsid()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PARENT_DEATH_SIGNAL, signal.SIGKILL)
    answer(os.getpid())
    new = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    for standard, path, flags in ((0, os.devnull, os.O_RDONLY), (1, output, new), (2, errors, new)):
        opened = os.open(path, flags, 0o600)
        os.dup2(opened, standard)
        os.close(opened)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    # What was found out in another environment.
    tempfile.tempdir = None
    sys.path[0] = folder
    execute(arguments)


def execute(arguments: list[str]) -> None:
    """Run what stands behind `python` on a command line."""
    match arguments:
        case ["-m", module, *_]:
            sys.argv = arguments[1:]
            runpy.run_module(module, run_name="__main__", alter_sys=True)
        case ["-c", program, *rest]:
            sys.argv = ["-c", *rest]
            main_module = sys.modules["__main__"] = types.ModuleType("__main__")
            exec(compile(program, "<string>", "exec"), vars(main_module))  # noqa: S102  that is what -c does
        case [script, *_]:
            sys.argv = arguments
            runpy.run_path(script, run_name="__main__")


if __name__ == "__main__":
    main(sys.argv[1:])
