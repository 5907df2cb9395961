"""
What becomes of records: delivered, tried again, held, or dead; in delivery it is decided here that a record is dead.

Values only: what an answer means is in `api.responses`, when to try again in `retry_policy`, and `outbox.settlement`
writes them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from track360_django.api.responses import Answer
from track360_django.delivery import retry_policy
from track360_django.delivery.parcel import Parcel
from track360_django.models import Activity, Customer, Status
from track360_django.outbox.due import DueActivity
from track360_django.outbox.settlement import Outcome

Record = Customer | Activity | DueActivity

# After an answer.


def accepted(batch: Sequence[Parcel]) -> list[Outcome]:
    """Return the outcome of an accepted batch: one for each version that was sent, and that is one as a rule."""
    pks: dict[int, list[int]] = defaultdict(list)
    for parcel in batch:
        pks[parcel.version].append(parcel.pk)
    return [Outcome(pks=same, version=version, status=Status.DELIVERED) for version, same in pks.items()]


def tried_again(batch: Sequence[Parcel], answer: Answer) -> list[Outcome]:
    """Return the outcomes of a batch that was not taken now; a record that is too old for another attempt is dead."""
    # Records that failed together go again together: one wait for each number of attempts, one statement each.
    waits = {
        attempts: retry_policy.retry_in(attempts + 1, reason=answer.reason, retry_after=answer.retry_after)
        for attempts in {parcel.attempts for parcel in batch}
    }
    return [
        _too_late(parcel, answer)
        if parcel.is_too_old and parcel.attempts
        else _pending(parcel, answer, waits)
        for parcel in batch
    ]


def _pending(parcel: Parcel, answer: Answer, waits: Mapping[int, timedelta]) -> Outcome:
    return Outcome(
        pks=(parcel.pk,),
        version=parcel.version,
        status=Status.PENDING,
        reason=answer.reason,
        error=answer.error,
        wait=waits[parcel.attempts],
    )


def _too_late(parcel: Parcel, answer: Answer) -> Outcome:
    error = f"Not accepted within MAX_AGE_DAYS: correct the cause, then requeue it. {answer.error}"
    return _dead(parcel, "too_old", error, is_attempt=True)


def refused(parcel: Parcel, answer: Answer) -> Outcome:
    """Return the outcome of a record that Track360 refused when it went alone."""
    return _dead(parcel, answer.reason, answer.error, is_attempt=True)


# Without an attempt.


def held(record: Customer | DueActivity, reason: str) -> Outcome:
    """Return the outcome of a record that may not go yet."""
    return Outcome(
        pks=(record.pk,), version=record.version, status=Status.HELD, reason=reason, is_attempt=False
    )


def set_aside(row: DueActivity) -> Outcome:
    """Return the outcome of an activity whose customer is not accepted: held, or dead where the customer is gone."""
    if row.customer_version is not None:
        return held(row, "customer_not_accepted")
    error = "Its customer was taken for none (staff, say) and dropped at the same moment: report the activity again."
    return unsendable(row, reason="customer_gone", error=error)


def unsendable(record: Record, *, reason: str, error: str) -> Outcome:
    """Return the outcome of a record that can't be sent as it is."""
    return _dead(record, reason, error, is_attempt=False)


def killer(record: Customer | Activity) -> Outcome:
    """Return the outcome of the single record that was under way each time a worker of its lane died."""
    error = (
        "Each worker that took this record died. Look at what BEFORE_SEND or its fields do, then requeue it."
    )
    return unsendable(record, reason="kills_its_worker", error=error)


def _dead(record: Record | Parcel, reason: str, error: str, *, is_attempt: bool) -> Outcome:
    return Outcome(
        pks=(record.pk,),
        version=record.version,
        status=Status.DEAD,
        reason=reason,
        error=error,
        is_attempt=is_attempt,
    )


# Parts of outcomes.


def only(outcome: Outcome, locked: set[int]) -> Outcome:
    """Return an outcome of the locked records alone."""
    return replace(outcome, pks=[pk for pk in outcome.pks if pk in locked])


def without(outcome: Outcome, locked: set[int]) -> Outcome:
    """Return an outcome of all records but the locked ones."""
    return replace(outcome, pks=[pk for pk in outcome.pks if pk not in locked]) if locked else outcome
