"""`track360 resume`: try paused endpoints now, after a person has corrected the cause."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any, Final

from django.core.management.base import OutputWrapper
from django.db import router

from track360_django.delivery import breaker
from track360_django.management.track360 import arguments
from track360_django.models import Endpoint
from track360_django.outbox import wakeup

HELP: Final = "Try paused endpoints now, with one record, instead of waiting for the end of the pause."


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options."""
    arguments.add_brand(parser)


def run(options: Mapping[str, Any], out: OutputWrapper, _err: OutputWrapper) -> None:
    """Resume the endpoints, and print how many they are."""
    using = router.db_for_write(Endpoint)
    count = breaker.resume(Endpoint.objects.using(using).filter(**arguments.narrowed(options["brand"])))
    wakeup.after_commit(using=using)
    out.write(f"endpoints resumed: {count}")
