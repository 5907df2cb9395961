"""The example project's settings with the models of the benchmarks; servers come from the environment."""

# ruff: noqa: F405

from __future__ import annotations

from example_project.settings import *  # noqa: F403
from example_project.settings import INSTALLED_APPS as HOST_APPS
from example_project.settings import TRACK360 as HOST_TRACK360

INSTALLED_APPS = [*HOST_APPS, "benchmarks.project"]
ALLOWED_HOSTS = ["testserver"]

# Each contestant has a queue and a worker of its own, so that nobody works for somebody else.
QUEUES = {
    "track360_django.*": {"queue": "ours"},
    "benchmarks.project.tasks.report_naively": {"queue": "naive"},
    "benchmarks.project.tasks.report_kept_alive": {"queue": "keep-alive"},
}
CELERY_TASK_ROUTES = QUEUES
# Work comes from the benchmark, not from the clock.
CELERY_BEAT_SCHEDULE: dict[str, object] = {}

TRACK360 = {**HOST_TRACK360, "COOKIE_SECURE": False}
