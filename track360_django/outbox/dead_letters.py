"""Records are sent again: dead ones after a person has corrected the cause, and accepted ones unchanged."""

from __future__ import annotations

from typing import Final, TypeVar

from django.db.models import Case, Q, QuerySet, When

from track360_django.db.clock import Now
from track360_django.models import Activity, Customer, Status

# Reasons of dead records that Track360 may have received.
UNCERTAIN: Final = ("too_old", "kills_its_worker")

R = TypeVar("R", bound=Customer | Activity)


def requeue(records: QuerySet[R]) -> int:
    """
    Mark dead records as pending, with their attempts reset; return how many.

    Track360 may have received a record that was not accepted in time. Such a record counts as tried, so that its body
    stays unchanged.

    An activity without a customer has nothing to send and stays dead. `activities.requeue` reads it from its row again.
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
    Mark accepted records as due again, with the same version, id and body; return how many.

    Records that are not accepted are not changed: they are sent anyway, or need a person. An activity with a pruned
    body is not changed either.
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
