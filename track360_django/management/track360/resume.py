"""`track360 resume`: paused endpoints are tried now, after a person has corrected the cause."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any, Final

from django.core.management.base import OutputWrapper
from django.db import router

from track360_django import endpoints, wakeup
from track360_django.models import Endpoint

HELP: Final = "Try paused endpoints now, with one record, instead of when their pauses are over."


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--brand", help="only of this brand")


def run(options: Mapping[str, Any], out: OutputWrapper, _err: OutputWrapper) -> None:
    """Resume, and print how many."""
    using = router.db_for_write(Endpoint)
    paused = Endpoint.objects.using(using)
    if options["brand"]:
        paused = paused.filter(brand=options["brand"])
    count = endpoints.resume(paused)
    wakeup.after_commit(using=using)
    out.write(f"endpoints resumed: {count}")
