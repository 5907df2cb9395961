"""Short processes that are forked from a warm one: they cost what they do, and not what they import."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Self

from example_project.processes import ServerError, dying_with_parent
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


class WarmProcess:
    """
    A process that has imported modules and forks others from itself; it ends with us.

    Args:
        modules: What it imports, as far as it is installed.
        python: Which Python it is.
    """

    def __init__(self, modules: tuple[str, ...] = DJANGO, *, python: Path = Path(sys.executable)) -> None:
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
            arguments: `-m`, a module and its arguments; or a script and its arguments.
            output: The file that gets its output.
            errors: The file that gets what it writes to its standard error.
            folder: Where it runs; its modules are found there.
            environment: Its whole environment; without it, ours.
        """
        assert self._popen.stdin is not None
        assert self._popen.stdout is not None
        order = {
            "arguments": arguments,
            "folder": str(folder),
            "environment": dict(os.environ if environment is None else environment),
            "output": str(output),
            "errors": str(errors),
        }
        # One that has ended gives no answer.
        with contextlib.suppress(BrokenPipeError):
            print(json.dumps(order), file=self._popen.stdin, flush=True)
        answer = self._popen.stdout.readline()
        if not answer:
            message = f"the process that others are forked from ended with code {self._popen.wait()}"
            raise ServerError(message)
        return int(answer)
