"""The example project's settings with the models of the benchmarks; servers come from the environment."""

from __future__ import annotations

from example_project.settings import *  # noqa: F403
from example_project.settings import DATABASES as HOST_DATABASES
from example_project.settings import INSTALLED_APPS as HOST_APPS
from example_project.settings import TRACK360 as HOST_TRACK360

INSTALLED_APPS = [*HOST_APPS, "utm_tracker", "benchmarks.project"]
ALLOWED_HOSTS = ["testserver"]

# A second database on the same server, for what is measured beside a million other rows.
CROWDED = {**HOST_DATABASES["default"], "NAME": "crowded"}
DATABASES = {**HOST_DATABASES, "crowded": CROWDED}

# Each contestant has a queue and a worker of its own, so that nobody works for somebody else.
QUEUES = {
    "track360_django.*": {"queue": "ours"},
    "benchmarks.project.tasks.report_naively": {"queue": "naive"},
    "benchmarks.project.tasks.report_kept_alive": {"queue": "keep-alive"},
}
CELERY_TASK_ROUTES = QUEUES
# Work comes from the benchmark, not from the clock.
CELERY_BEAT_SCHEDULE = {}

# The other middleware is to keep the very parameter that ours keeps.
UTM_TRACKER_CUSTOM_TAGS = ["tracking_data"]

TRACK360 = {**HOST_TRACK360, "COOKIE_SECURE": False, "EVENTS": ()}
