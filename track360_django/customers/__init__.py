"""Reporting customers: one row a customer, written in the caller's transaction, delivered after its commit."""

from track360_django.customers.building import id_of
from track360_django.customers.completing import PLACEHOLDER
from track360_django.customers.finding import (
    FIND_BATCH,
    exist,
    find,
    find_many,
    of,
    of_many,
    placeholders,
    release_reported,
)
from track360_django.customers.many import OnError, Registration, Reported, preview_many, report_many
from track360_django.customers.reporting import hold, hold_unserved, report, tell_unattributed, update

__all__ = [
    "FIND_BATCH",
    "PLACEHOLDER",
    "OnError",
    "Registration",
    "Reported",
    "exist",
    "find",
    "find_many",
    "hold",
    "hold_unserved",
    "id_of",
    "of",
    "of_many",
    "placeholders",
    "preview_many",
    "release_reported",
    "report",
    "report_many",
    "tell_unattributed",
    "update",
]
