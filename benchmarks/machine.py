"""What the figures were measured on and with: no name of a host, no path."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Final

from django.db import connection

PACKAGES: Final = (
    "Django",
    "celery",
    "psycopg",
    "redis",
    "requests",
    "segment-analytics-python",
    "django-utm-tracker",
)


def describe() -> dict[str, str]:
    """Return cores, memory, system and versions."""
    return {
        "cores": str(os.cpu_count()),
        # More than nothing: somebody else worked there, too, and the figures are worse than the machine.
        "load before": f"{os.getloadavg()[0]:.1f}",
        "processor": _processor(),
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.machine()}",
        "Python": platform.python_version(),
        "Postgres": _postgres(),
        **{package: version(package) for package in PACKAGES},
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _postgres() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SHOW server_version")
        return str(cursor.fetchone()[0]).split()[0]
