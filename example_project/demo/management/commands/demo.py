"""
`manage.py demo`: the main job as a story, on real processes.

This process sets the stage and keeps it; the story is one more process on it, so that it has the stage's database
and broker in its settings from the start.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import sys
import time
from argparse import ArgumentParser
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError

from example_project.demo.console import Console
from example_project.demo.stage import Stage, set_stage
from example_project.processes import ServerError

STORY_SECONDS: Final = 240.0
POLL_SECONDS: Final = 0.1


class Command(BaseCommand):
    """Sets the stage, has the story played, and serves while a person is there."""

    help = (
        "Show the main job: a visitor lands, signs up, deposits, and Track360 (its sandbox) hears of it through "
        "Celery. Starts what it needs and leaves nothing behind; DATABASE_URL and CELERY_BROKER_URL are used as "
        "they are. Ends with 0 when nothing was lost, doubled or out of order."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the options."""
        parser.add_argument(
            "--port", type=int, default=0, help="where the site listens on 127.0.0.1 (any free port)"
        )
        parser.add_argument(
            "--serve", action="store_true", help="keep serving, as if a person were at the terminal"
        )

    def handle(self, *, port: int, serve: bool, **_options: Any) -> None:
        """Run the demo."""
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, _end)
        # A script that starts us in the background has it ignored.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        is_watched = sys.stdin.isatty() and sys.stdout.isatty()
        try:
            with set_stage(port) as stage:
                _play(stage, Console(), is_serving=serve or is_watched)
        except ServerError as error:
            raise CommandError("\n".join((str(error), *getattr(error, "__notes__", ())))) from None
        except KeyboardInterrupt:
            sys.exit(128 + signal.SIGINT)


def _play(stage: Stage, console: Console, *, is_serving: bool) -> None:
    """Have the story played, and keep serving afterwards if that is wanted."""
    console.title("track360-django: the main job, end to end")
    console.said("stage", f"{_servers()} · {' · '.join(stage.processes)}")
    code = _tell(stage)
    if is_serving:
        _show_addresses(stage, console)
        _serve(stage)
    if code:
        message = "The story did not end well"
        raise stage.error(message, "web", "worker")


def _servers() -> str:
    """Say whose database and broker these are."""
    database = "DATABASE_URL" if os.environ.get("DATABASE_URL") else "SQLite file"
    broker = "CELERY_BROKER_URL" if os.environ.get("CELERY_BROKER_URL") else "Redis on a unix socket"
    return f"{database} · {broker}"


def _tell(stage: Stage) -> int:
    """Have the story told by its own process, on our output, and return its exit code."""
    places = "--site", stage.site, "--sandbox", stage.sandbox
    others = tuple(stage.processes)
    story = stage.start("story", "-m", "example_project.demo", *places, is_logged=False)
    deadline = time.monotonic() + STORY_SECONDS
    while story.is_running:
        stage.check(*others)
        if time.monotonic() > deadline:
            message = f"The story did not end within {STORY_SECONDS:.0f} seconds"
            raise stage.error(message, "web", "worker")
        time.sleep(POLL_SECONDS)
    return stage.dismiss("story")


def _show_addresses(stage: Stage, console: Console) -> None:
    """Say where a person can go on."""
    username, password = f"staff-{secrets.token_hex(2)}", stage.environment["DJANGO_SUPERUSER_PASSWORD"]
    person = "--username", username, "--email", f"{username}@example.com"
    stage.run("superuser", "manage.py", "createsuperuser", "--no-input", *person)
    console.step("Go on yourself (Ctrl-C ends all of it)")
    console.said("site", f"{stage.site}/?tracking_data=2001_1000_abcdefg")
    console.said("admin", f"{stage.site}/admin/  {username}  {password}")
    console.said("sandbox", f"{stage.sandbox}/sandbox/")
    console.said("logs", str(stage.directory))


def _serve(stage: Stage) -> None:
    """Keep the stage until a person ends it."""
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            stage.check()
            time.sleep(POLL_SECONDS)


def _end(number: int, _frame: object) -> None:
    """End in order: the stage is left, and takes its processes with it."""
    sys.exit(128 + number)
