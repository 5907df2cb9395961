"""An auth package without the signal that it is known for: the host starts, and the safety net sees its signups."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.sources.hosts import plain

sys.path.insert(0, str(Path(__file__).parent.with_name("outdated")))


class Site(plain.Site):
    """Django's own form, beside an app called `djoser`."""

    apps = ("djoser",)
