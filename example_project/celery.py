"""The host's Celery app, with this package's periodic tasks merged into its schedule."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "example_project.settings")

app = Celery("example_project")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@app.on_after_finalize.connect
def add_track360_schedule(sender: Celery, **_kwargs: Any) -> None:
    """Merge the package's schedule, once Django's apps are loaded and its tasks can be imported."""
    from track360_django.tasks import BEAT_SCHEDULE  # noqa: PLC0415 - importing tasks before the settings is too early

    sender.conf.beat_schedule = {**(sender.conf.beat_schedule or {}), **BEAT_SCHEDULE}
