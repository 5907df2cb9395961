"""
A warm process: it imports once what all hosts import, and forks each host from itself, before it has any settings.

Whatever reads the settings, or belongs to an auth package, is imported in the fork alone: each host has a Django of its
own. `python -m tests.sources` is the process, `WarmProcess` talks to it.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from example_project.processes import dying_with_parent
from tests.pages import ROOT

# What each host imports by itself within its first second. None of them looks at the settings: without settings their
# import would fail.
SHARED: Final = (
    "celery.app.amqp",
    "celery.app.task",
    "celery.loaders.app",
    "django.contrib.admin.options",
    "django.contrib.auth.password_validation",
    "django.contrib.auth.tokens",
    "django.contrib.messages.storage.fallback",
    "django.contrib.sessions.backends.cache",
    "django.contrib.sessions.backends.signed_cookies",
    "django.contrib.staticfiles.storage",
    "django.core.cache.backends.locmem",
    "django.core.mail.backends.locmem",
    "django.core.management.commands.migrate",
    "django.db.backends.sqlite3.base",
    "django.db.migrations.executor",
    "django.template.backends.django",
    "django.test",
    "django.views.generic",
    "kombu.transport.memory",
    "redis",
    "tests.sources.serving",
    "tests.sources.social",
    "uvicorn.lifespan.off",
    "uvicorn.loops.auto",
    "uvicorn.protocols.http.auto",
)
PARENT_DEATH_SIGNAL: Final = 1


class WarmProcess:
    """The process that one Python's hosts are forked from; it ends with us, or when it is closed."""

    def __init__(self, python: Path) -> None:
        self._popen = subprocess.Popen(
            dying_with_parent([python, "-m", "tests.sources"]),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            text=True,
        )

    def run(self, host: str, log: Path) -> int:
        """Run a host to its end, with its output in a file; return its exit code."""
        assert self._popen.stdin is not None
        assert self._popen.stdout is not None
        try:
            print(json.dumps([host, str(log)]), file=self._popen.stdin, flush=True)
        except BrokenPipeError:
            return self._popen.wait()
        answer = self._popen.stdout.readline()
        return int(answer) if answer else self._popen.wait()

    def close(self) -> None:
        """End the process."""
        self._popen.communicate()


def serve(run: Callable[[str], None]) -> None:
    """Fork a process for each host that the standard input names, until it ends."""
    for name in SHARED:
        importlib.import_module(name)
    if find_spec("cryptography") and find_spec("jwt"):
        from tests.sources.identity_provider import make_key

        make_key()
    from django.conf import settings

    assert not settings.configured
    assert threading.active_count() == 1, "only a process of one thread may be forked"
    gc.collect()
    gc.freeze()
    for line in sys.stdin:
        host, log = json.loads(line)
        child = os.fork()
        if not child:
            _become(host, log, run)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        print(code, flush=True)  # noqa: T201  what the tests read


def _become(host: str, log: str, run: Callable[[str], None]) -> None:
    """Be a host, in a fork, and end."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PARENT_DEATH_SIGNAL, signal.SIGKILL)
    code = 1
    try:
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        for standard in (1, 2):
            os.dup2(output, standard)
        run(host)
        code = 0
    except BaseException:  # noqa: BLE001  whatever it is, the log has it
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
