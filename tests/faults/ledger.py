"""What the tests of single faults read from the tables and the fault server, and the checker's verdict on it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Final

from django.db.models.functions import Now

from tests.faults.api import ACTIVITIES, FaultServer
from tests.faults.invariants import History, Row, Verdict, check
from tests.faults.truth import CustomerTruth, Truth, activity
from track360_django.models import Activity, Customer, Lane, Status
from track360_django.outbox import wakeup

# A guard against a test that hangs, no measure of anything.
PATIENCE_SECONDS: Final = 300.0


def wait_until(is_so: Callable[[], object], what: str) -> None:
    """Wait for something that another process does."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        assert time.monotonic() < deadline, f"not within {PATIENCE_SECONDS} s: {what}"
        time.sleep(0.02)


def wake() -> None:
    """Publish one hint for certain; on a busy machine a healthy broker may be given up for a moment."""
    while not wakeup.wake():
        wakeup.reset()


def expire_leases() -> None:
    """Let the minute pass after which the lane of a dead worker is free."""
    Lane.objects.exclude(leased_until=None).update(leased_until=Now() - timedelta(seconds=1))


def is_all_delivered() -> bool:
    """Tell whether nothing waits and nothing is dead."""
    models = (Customer, Activity)
    return not any(model._default_manager.exclude(status=Status.DELIVERED).exists() for model in models)


def accepted(api: FaultServer) -> list[str]:
    """Return the ids of the activities that the API took, each as often as it did."""
    return sorted(record.key[1] for record in api.accepted(ACTIVITIES))


def verdict(api: FaultServer, disturbances: Iterable[tuple[float, float]] = ()) -> Verdict:
    """Return what the checker says when all rows of the tables are what was committed."""
    rows = list(Activity.objects.select_related("customer"))
    customers = list(Customer.objects.all())
    truth = Truth(
        customers={
            row.customer_id: CustomerTruth(fields={name: [str(value)] for name, value in row.fields.items()})
            for row in customers
        },
        activities={(row.eventname, row.eventid): _truth_of(row) for row in rows},
    )
    history = History(
        truth=truth,
        exchanges=api.exchanges,
        rows=[
            *(Row(key=(row.customer_id,), status=row.status, reason=row.reason) for row in customers),
            *(Row(key=(row.eventname, row.eventid), status=row.status, reason=row.reason) for row in rows),
        ],
        disturbances=list(disturbances),
    )
    return check(history)


def _truth_of(row: Activity) -> dict[str, str]:
    value = str(row.body.partition('"Value":"')[2].partition('"')[0])
    return activity(row.eventname, row.eventid, row.customer.customer_id if row.customer else "", value)


def found(api: FaultServer, disturbances: Iterable[tuple[float, float]] = ()) -> list[str]:
    """Return the violations, in words."""
    return list(verdict(api, disturbances).lines())
