"""Records go out again: what was dead, after a person has corrected the cause, and what was accepted, as it was."""

from __future__ import annotations

from typing import Final, TypeVar

from django.db.models import Case, Q, QuerySet, When

from track360_django.db.clock import Now
from track360_django.models import Activity, Customer, Status

# Why a record died of which Track360 may have the bytes.
UNCERTAIN: Final = ("too_old", "kills_its_worker")

R = TypeVar("R", bound=Customer | Activity)


def requeue(records: QuerySet[R]) -> int:
    """
    Give dead records another try from the start; return how many.

    Of one that was not accepted in time Track360 may have the bytes: it counts as tried, so that they stay as they are.

    An activity without a customer has nothing to send and stays: `activities.requeue` reads it from its row again.
    """
    dead = records.filter(status=Status.DEAD)
    if records.model is Activity:
        dead = dead.exclude(customer=None)
    return dead.update(
        status=Status.PENDING,
        due_at=Now(),
        queued_at=Now(),
        attempts=Case(When(Q(reason__in=UNCERTAIN) | Q(attempts__gt=1), then=1), default=0),
        reason="",
        error="",
    )


def replay(records: QuerySet[R]) -> int:
    """
    Mark accepted records due again, as they are: the same version, the same id, the same bytes; return how many.

    What is not accepted goes out anyway, or needs a person, and is left alone; so is an activity whose body was pruned.
    """
    accepted = records.filter(status=Status.DELIVERED)
    if records.model is Activity:
        accepted = accepted.exclude(body="")
    return accepted.update(
        status=Status.PENDING,
        due_at=Now(),
        queued_at=Now(),
        attempts=0,
        reason="",
        error="",
    )
