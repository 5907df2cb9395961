"""Celery's entrances: their names, their schedule, and what they do without arguments."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from django.conf import settings as django_settings

from tests.rows import make_activities, make_customer, overdue
from track360_django import tasks
from track360_django.db.clock import Now
from track360_django.models import Activity, Customer, Status

if TYPE_CHECKING:
    from track360_django.sandbox.server import SandboxServer


@pytest.mark.django_db
def test_deliver_delivers_what_is_due(track360_sandbox: SandboxServer) -> None:
    """The task that a wake-up names delivers, without being told what."""
    make_activities(make_customer("c1"), 2)

    tasks.deliver()

    assert len(track360_sandbox.store.activities()) == 2


@pytest.mark.django_db
def test_sweep_delivers_a_retry_that_nobody_announced(track360_sandbox: SandboxServer) -> None:
    """What waited for its time goes out with the sweep."""
    track360_sandbox.fail(status=503, times=1)
    make_customer("c1")
    tasks.deliver()
    overdue(Customer)

    tasks.sweep()

    assert Customer.objects.get().status == Status.DELIVERED


@pytest.mark.django_db
def test_prune_follows_the_retention(track360_sandbox: SandboxServer) -> None:
    """Activities go after RETENTION_DAYS; customers stay for ever."""
    make_activities(make_customer("c1"), 2)
    tasks.deliver()
    Activity.objects.update(delivered_at=Now() - timedelta(days=31))

    tasks.prune()

    assert not Activity.objects.exists()
    assert Customer.objects.count() == 1


@pytest.mark.django_db
def test_schedule_names_registered_tasks_that_expire() -> None:
    """Each entry of BEAT_SCHEDULE is a task that exists and expires, yet not by a clock an hour off."""
    from example_project.celery import app

    app.loader.import_default_modules()

    for entry in tasks.BEAT_SCHEDULE.values():
        assert entry["task"] in app.tasks
        assert 3600 < entry["options"]["expires"] <= 24 * 3600
        assert app.tasks[entry["task"]].ignore_result


def test_schedule_is_importable_from_a_settings_file() -> None:
    """A host merges BEAT_SCHEDULE in its settings, before any app is loaded."""
    code = "from track360_django.tasks import BEAT_SCHEDULE; assert BEAT_SCHEDULE"

    finished = subprocess.run([sys.executable, "-c", code], cwd=django_settings.BASE_DIR, check=False)

    assert finished.returncode == 0
