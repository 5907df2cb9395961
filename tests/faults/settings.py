"""The example host under faults: production's settings but for short timeouts, with all logs at DEBUG."""

from __future__ import annotations

from example_project.settings import *  # noqa: F403  the host's own, changed below
from example_project.settings import CELERY_BEAT_SCHEDULE, TRACK360
from track360_django.tasks import BEAT_SCHEDULE

DEBUG = False

TRACK360 = {
    **TRACK360,
    "ALLOW_HTTP": True,
    # A story is told in seconds: a server that says nothing may not take 15 of them.
    "CONNECT_TIMEOUT_SECONDS": 1.0,
    "READ_TIMEOUT_SECONDS": 1.5,
    "TOTAL_TIMEOUT_SECONDS": 2.5,
}
CELERY_BEAT_SCHEDULE = {
    **CELERY_BEAT_SCHEDULE,
    "track360-sweep": {**BEAT_SCHEDULE["track360-sweep"], "schedule": 1.0},
}
# A broker that restarts is found again at once, not after half a minute.
CELERY_BROKER_TRANSPORT_OPTIONS = {"socket_timeout": 2, "socket_connect_timeout": 2}
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = True

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"format": "%(asctime)s %(process)d %(levelname)s %(name)s %(message)s"}},
    "handlers": {"all": {"class": "logging.StreamHandler", "formatter": "plain"}},
    "root": {"handlers": ["all"], "level": "DEBUG"},
}
