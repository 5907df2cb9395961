"""Report customers: one row per customer, written in the caller's transaction, delivered after its commit."""

from track360_django.customers.bulk import OnError, Registration, Reported, preview_many, report_many
from track360_django.customers.lookup import (
    FIND_BATCH,
    exist,
    find,
    find_many,
    of,
    of_many,
    placeholders,
    release_reported,
)
from track360_django.customers.merge import PLACEHOLDER
from track360_django.customers.reporting import hold, hold_unserved, report, tell_unattributed, update
from track360_django.customers.row import id_of

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
