"""Processes that are forked from a warm one: they cost what they do, and not what they import."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Self

from example_project.processes import POLL_SECONDS, Process, ServerError, dying_with_parent
from tests.pages import ROOT

# What every process with Django in it imports sooner or later. None of them looks at the settings: where there are none,
# their import would fail.
DJANGO: Final = (
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
    "redis",
)


# What a Celery worker, beat and a process with our package import beside it.
HOST: Final = (
    *DJANGO,
    "celery.apps.beat",
    "celery.apps.worker",
    "celery.bin.beat",
    "celery.bin.celery",
    "celery.bin.worker",
    "celery.concurrency.prefork",
    "celery.fixups.django",
    "celery.worker.consumer",
    "django.contrib.admin.sites",
    "django.core.management.commands.runserver",
    "kombu.transport.redis",
    "psycopg",
    "requests",
)


class WarmProcess:
    """
    A process that has imported modules and forks others from itself; all of them end with us.

    Args:
        modules: What it imports, as far as it is installed.
        python: Which Python it is.
    """

    def __init__(self, modules: tuple[str, ...] = DJANGO, *, python: Path = Path(sys.executable)) -> None:
        self._lock = threading.Lock()
        self._popen = subprocess.Popen(
            dying_with_parent([python, "-m", "tests.warm", *modules]),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            env={name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"},
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the process."""
        self._popen.communicate()

    def run(
        self,
        *arguments: str,
        output: Path,
        errors: Path,
        folder: Path = ROOT,
        environment: Mapping[str, str] | None = None,
    ) -> int:
        """
        Run what would stand behind `python` on a command line to its end, and return its exit code.

        Raises:
            ServerError: The warm process itself has ended; what it wrote is on our standard error.

        Args:
            arguments: `-m`, a module and its arguments; `-c`, a program and its arguments; or a script and its
                arguments.
            output: The file that gets its output.
            errors: The file that gets what it writes to its standard error.
            folder: Where it runs; its modules are found there.
            environment: Its whole environment; without it, ours.
        """
        for file in (output, errors):
            file.write_bytes(b"")
        code = self._ask(wait=self._start(arguments, output, errors, folder, environment))
        assert code is not None
        return code

    def spawn(
        self, *arguments: str, log: Path, folder: Path = ROOT, environment: Mapping[str, str] | None = None
    ) -> Process:
        """
        Start what would stand behind `python` on a command line.

        Raises:
            ServerError: The warm process itself has ended; what it wrote is on our standard error.

        Args:
            arguments: As for `run`.
            log: The file that gets its output, appended.
            folder: Where it runs; its modules are found there.
            environment: Its whole environment; without it, ours.
        """
        return Process(Fork(self, self._start(arguments, log, log, folder, environment)), log)

    def poll(self, pid: int) -> int | None:
        """Return the exit code of a process that was forked here, None while it runs. Ask no more when it has ended."""
        return self._ask(poll=pid)

    def _start(
        self,
        arguments: tuple[str, ...],
        output: Path,
        errors: Path,
        folder: Path,
        environment: Mapping[str, str] | None,
    ) -> int:
        order = {
            "arguments": arguments,
            "folder": str(folder),
            "environment": dict(os.environ if environment is None else environment),
            "output": str(output),
            "errors": str(errors),
        }
        pid = self._ask(start=order)
        assert pid is not None
        return pid

    def _ask(self, **order: object) -> int | None:
        assert self._popen.stdin is not None
        assert self._popen.stdout is not None
        with self._lock:
            # One that has ended gives no answer.
            with contextlib.suppress(BrokenPipeError):
                print(json.dumps(order), file=self._popen.stdin, flush=True)
            answer = self._popen.stdout.readline()
        if not answer:
            message = f"the process that others are forked from ended with code {self._popen.wait()}"
            raise ServerError(message)
        return json.loads(answer)  # type: ignore[no-any-return]


class Fork:
    """A process that was forked from a warm one, in the manner of `subprocess.Popen`."""

    def __init__(self, parent: WarmProcess, pid: int) -> None:
        self.pid = pid
        self._parent = parent
        self._code: int | None = None

    def poll(self) -> int | None:
        """Return its exit code, None while it runs."""
        if self._code is None:
            self._code = self._parent.poll(self.pid)
        return self._code

    def wait(self, timeout: float | None = None) -> int:
        """Return its exit code; raise `subprocess.TimeoutExpired` when it takes longer."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while (code := self.poll()) is None:
            if deadline is not None and time.monotonic() > deadline:
                raise subprocess.TimeoutExpired([str(self.pid)], timeout or 0.0)
            time.sleep(POLL_SECONDS)
        return code

    def send_signal(self, number: signal.Signals) -> None:
        """Send it a signal, if it runs."""
        if self.poll() is None:
            os.kill(self.pid, number)
