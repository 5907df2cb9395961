"""
What the tables say about a record, in sentences: for the admin and for `track360 explain`.

Reads rows only. What a reason means, and what to do about it, is in `reasons`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

from django.db.models import Count, OuterRef, QuerySet, Subquery

from track360_django.db.clock import Now
from track360_django.models import Activity, Customer, Endpoint, EndpointName, Status
from track360_django.operations import reasons

R = TypeVar("R", bound=Customer | Activity)


def with_pauses(records: QuerySet[R]) -> QuerySet[R]:
    """Return records with `endpoint_paused_until` beside each: when the pause of its endpoint ends, if there is one."""
    name = EndpointName.CUSTOMERS if records.model is Customer else EndpointName.ACTIVITIES
    paused = Endpoint.objects.filter(brand=OuterRef("brand"), name=name, paused_until__gt=Now())
    annotated: QuerySet[R] = records.annotate(endpoint_paused_until=Subquery(paused.values("paused_until")))
    return annotated


def state_of(record: Customer | Activity, now: datetime) -> str:
    """
    Return how far a record got and what comes next, in a sentence or two.

    Args:
        record: From a queryset `with_pauses`; of an activity, its customer is looked at.
        now: Decides between "due" and "next attempt at".
    """
    match record.status:
        case Status.HELD:
            return _held_customer(record) if isinstance(record, Customer) else _held_activity(record)
        case Status.PENDING:
            return _pending(record, now)
        case Status.DELIVERED:
            return _delivered(record)
        case _:
            return _dead(record)


def _held_activity(activity: Activity) -> str:
    customer = activity.customer
    if customer is None:
        return "Waits until its customer is accepted."
    match customer.status:
        case Status.DEAD:
            rest = f"who is dead: {reasons.meaning_of(customer.reason).what}. Requeue the customer."
        case Status.HELD:
            rest = f"who is held. {_held_customer(customer)}"
        case Status.PENDING:
            rest = "who is on the way."
        case _:
            rest = "which has happened: it goes out with the next delivery."
    return f"Waits until its customer is accepted, {rest}"


def _held_customer(customer: Customer) -> str:
    if customer.due_at is not None:
        return (
            "The signup is under way: released when its request ends, "
            f"by itself at {moment(customer.due_at)}."
        )
    meaning = reasons.meaning_of(customer.reason)
    return _sentence(f"Waits: {meaning.what}", meaning.advice)


def _pending(record: Customer | Activity, now: datetime) -> str:
    known = (
        f"Track360 has version {record.accepted_version}, version {record.version} waits."
        if record.accepted_version
        else ""
    )
    failed = (
        f"Attempt {record.attempts} failed: {reasons.meaning_of(record.reason).what}."
        if record.attempts and record.reason
        else ""
    )
    return " ".join(filter(None, (failed, _next_attempt(record, now), known)))


def _next_attempt(record: Customer | Activity, now: datetime) -> str:
    paused_until: datetime | None = getattr(record, "endpoint_paused_until", None)
    if paused_until is not None:
        return f"Waits for its endpoint, which is paused until {moment(paused_until)}."
    if record.due_at is None or record.due_at <= now:
        return "Goes out with the next delivery."
    return f"Next attempt at {moment(record.due_at)}."


def _delivered(record: Customer | Activity) -> str:
    sentence = f"Accepted by Track360 at {moment(record.delivered_at)}."
    if isinstance(record, Activity) and record.changed_at is not None:
        sentence += (
            f" Its row was changed at {moment(record.changed_at)}; Track360 has the first version "
            "(TRACK360['CORRECTIONS'])."
        )
    return sentence


def _dead(record: Customer | Activity) -> str:
    meaning = reasons.meaning_of(record.reason)
    return _sentence(f"Dead: {meaning.what}", meaning.advice or "Correct the cause", then="then requeue it")


def state_of_endpoint(endpoint: Endpoint, now: datetime) -> str:
    """Return whether an endpoint takes records, why not, and what to do about it."""
    if endpoint.paused_until is None:
        return "Open."
    meaning = reasons.meaning_of(endpoint.reason)
    advice = f"{meaning.advice}, then resume it." if meaning.advice else "It is tried again by itself."
    if endpoint.paused_until <= now:
        return f"Tried with the next record that is due. Before: {meaning.what}. {advice}"
    return f"Paused until {moment(endpoint.paused_until)}: {meaning.what}. No record is lost. {advice}"


def _sentence(what: str, advice: str, *, then: str = "") -> str:
    to_do = f"{advice}, {then}." if then else f"{advice}." if advice else ""
    return f"{what}. {to_do}".strip()


def moment(at: datetime | None) -> str:
    """Return a time as operators compare it: UTC, to the second."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if at else "an unknown time"


# The whole life of a record.


def find(key: str, *, using: str) -> Iterator[Customer | Activity]:
    """Return the records that a customer id or an event id names, customers first, of all brands."""
    yield from with_pauses(Customer.objects.using(using).filter(customer_id=key).order_by("pk"))
    activities = Activity.objects.using(using).filter(eventid=key).select_related("customer").order_by("pk")
    yield from with_pauses(activities)


def life_of(record: Customer | Activity, now: datetime) -> Iterator[str]:
    """Tell all that is known of a record, sentence by sentence. Names of additional fields, never their values."""
    if isinstance(record, Customer):
        yield f"Customer {record.customer_id} of brand {record.brand}."
        yield _origin_of_customer(record)
        yield from attribution_of(record)
        if record.fields:
            yield f"Additional fields: {', '.join(sorted(record.fields))}."
    else:
        yield f"{record.eventname} {record.eventid} of {_owner_of(record)}, brand {record.brand}."
        yield _origin_of_activity(record)
    yield f"Status: {record.status}. {state_of(record, now)}"
    if record.error:
        yield f"Last error: {record.error}"
    yield f"Attempts since it was queued at {moment(record.queued_at)}: {record.attempts}. Lane: {record.lane}."
    if isinstance(record, Customer):
        yield from _activities_of(record)


def _origin_of_customer(customer: Customer) -> str:
    user = f"user {customer.user_pk}" if customer.user_pk else "no user of this project"
    registered = f", registered at {moment(customer.regtime)}" if customer.regtime else ""
    return f"Written down at {moment(customer.created_at)} by {customer.source or 'nobody known'}: {user}{registered}."


def _origin_of_activity(activity: Activity) -> str:
    row = (
        f"{activity.source} {activity.source_pk}".rstrip()
        if activity.source
        else "a call of activities.report()"
    )
    return f"Written down at {moment(activity.created_at)} from {row}."


def _owner_of(activity: Activity) -> str:
    return f"customer {activity.customer.customer_id}" if activity.customer else "nobody"


def attribution_of(customer: Customer) -> Iterator[str]:
    """Tell what a customer is credited to, or why to nothing."""
    if customer.tracking:
        values = ", ".join(f"{name}={value!r}" for name, value in customer.tracking.items())
        yield f"Attributed: {values}."
    else:
        yield f"Unattributed: {reasons.why_unattributed(customer.unattributed_reason)}."
    for label, touch in (("First", customer.first_touch), ("Last", customer.last_touch)):
        if touch:
            yield f"{label} touch: {_touch(touch)}."


def _touch(touch: Mapping[str, Any]) -> str:
    values = ", ".join(f"{name}={value!r}" for name, value in touch.get("params", {}).items())
    at = touch.get("at")
    return f"{values} at {moment(datetime.fromtimestamp(at, UTC))}" if at is not None else values


def _activities_of(customer: Customer) -> Iterator[str]:
    counts = customer.activities.values_list("status").annotate(count=Count("pk")).order_by("status")
    listed = ", ".join(f"{count} {status}" for status, count in counts)
    yield f"Activities: {listed or 'none'}."
