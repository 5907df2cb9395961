"""
What the tables say about a record, in sentences: for the admin and for `track360 explain`.

Reads rows only. A reason's word is made elsewhere; what it means and what to do about it is written here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from django.db.models import Count, OuterRef, QuerySet, Subquery

from track360_django.db.clock import Now
from track360_django.models import Activity, Customer, Endpoint, EndpointName, Status

R = TypeVar("R", bound=Customer | Activity)


@dataclass(frozen=True, kw_only=True)
class Meaning:
    """What a reason means, and what a person can do; `advice` may be empty."""

    what: str
    advice: str = ""


_SEE_ERROR: Final = "Correct the value that the error names"

# Reasons of the outbox, the payloads, the client and the producers. "API guide, X" is a section of Track360's guide.
MEANINGS: Final[Mapping[str, Meaning]] = {
    # Held.
    "customer_not_accepted": Meaning(what="its customer is not accepted yet"),
    "unknown_customer": Meaning(
        what="no user of this project has the customer id",
        advice="Report the customer with customers.report(), or correct the id that the activity names "
        "(API guide, Uniqueness)",
    ),
    "not_reported": Meaning(
        what="nobody reported the customer, and UNKNOWN_CUSTOMERS is 'hold'",
        advice="Report the customer with customers.report()",
    ),
    "staff": Meaning(
        what="the user is staff, who are not reported",
        advice="If they are a customer all the same, report them with customers.report()",
    ),
    "inactive": Meaning(
        what="the user is not active yet, and REPORT_ON is 'activation'",
        advice="Nothing to do: they are released when they become active",
    ),
    "unverified": Meaning(
        what="the user has not confirmed their address yet, and REPORT_ON is 'activation'",
        advice="Nothing to do: they are released when they confirm it",
    ),
    "guest": Meaning(
        what="the user is a guest, who has not signed up yet",
        advice="Nothing to do: they are reported when they sign up",
    ),
    "no_user": Meaning(
        what="the user is gone", advice="Report the customer with customers.report() if they exist"
    ),
    "not_a_customer": Meaning(
        what="the user is no customer, but activities name them",
        advice="Report them with customers.report() if they are one",
    ),
    # Not written down as they should be.
    "no_customer": Meaning(
        what="the declaration's `customer` leads to nobody",
        advice="Correct the row or the declaration (API guide, Activity API, customerid)",
    ),
    "no_eventid": Meaning(
        what="there is no event id",
        advice="Give the declaration an `eventid` (API guide, Activity API, eventid)",
    ),
    "no_product_field": Meaning(
        what="a product is reported and no field was agreed for it",
        advice="Set PRODUCT_FIELD (API guide, Grouping by date or by KPI type)",
    ),
    "product_field": Meaning(
        what="PRODUCT_FIELD could not make the record tell its product",
        advice="Correct the function, or agree on another field",
    ),
    "unknown_currency": Meaning(
        what="the currency is none of ISO 4217 and none of CURRENCIES",
        advice="Correct the row, or add the code to CURRENCIES",
    ),
    "invalid_currency": Meaning(what="the currency is no ISO code of three letters", advice=_SEE_ERROR),
    "invalid_time": Meaning(what="a time can't be reported exactly", advice=_SEE_ERROR),
    "invalid_number": Meaning(what="a number can't be reported exactly", advice=_SEE_ERROR),
    "invalid_field": Meaning(what="a field can't be reported exactly", advice=_SEE_ERROR),
    "reserved_field": Meaning(
        what="an additional field has the name of one of the API's own",
        advice="Rename it, or use the argument of that name",
    ),
    "eventid_taken": Meaning(
        what="another record has its event id, and says something else",
        advice="Report it in one way alone, or give it an id that is unique for the event name",
    ),
    "differing_field": Meaning(
        what="rows of one day's total differ in something that can't be added up",
        advice="Leave the field out of rows(), or let it be part of `product`",
    ),
    "regrouped": Meaning(
        what="a day's total may hold money that was reported under another id, which can't be taken back there",
        advice='Set CORRECTIONS="resend" if that is agreed with Track360, or keep the old grouping in rows()',
    ),
    "before_send": Meaning(what="BEFORE_SEND returned no record", advice="Correct the function"),
    "declaration": Meaning(what="the declaration failed for its row", advice="Correct the declaration"),
    "pruned": Meaning(
        what="what it takes back was pruned, and its row has no amount any more",
        advice="Report the reversal with activities.report()",
    ),
    "unclear_reversal": Meaning(
        what="nobody can tell exactly what it takes back",
        advice="Report the reversal with activities.report()",
    ),
    "row_gone": Meaning(what="the row it came from is gone"),
    "row_not_due": Meaning(what="the row it came from no longer fulfils the declaration's `when`"),
    # Of whose brand nobody is certain.
    "no_brand": Meaning(
        what="nobody can tell which brand it belongs to, or that brand is not in BRANDS any more",
        advice="Name the brand in the declaration, or put it back into BRANDS (see the error)",
    ),
    "other_brand": Meaning(
        what="it was reported at another brand than the one that is named now, or its customer is one of another",
        advice="Correct the brand that the declaration or the call names",
    ),
    "unknown_brand": Meaning(
        what="the brand that is named is none of BRANDS",
        advice="Correct the name, or add the brand to BRANDS",
    ),
    # Not accepted.
    "too_old": Meaning(
        what="Track360 did not accept it within MAX_AGE_DAYS",
        advice="Correct what the error names",
    ),
    "customer_gone": Meaning(
        what="its customer was taken for none and dropped when it was written",
        advice="Report the activity again",
    ),
    "kills_its_worker": Meaning(
        what="each worker that took it died",
        advice="Look at what BEFORE_SEND, CUSTOMER_FIELDS or RESPONSE_CHECK do with it",
    ),
    "response_check": Meaning(
        what="RESPONSE_CHECK says that Track360 did not take it", advice="Look at the answer in the error"
    ),
    "response_check_failed": Meaning(
        what="RESPONSE_CHECK raised an error, so nobody knows what the answer means",
        advice="Correct the function",
    ),
    "timeout": Meaning(what="Track360 did not answer in time"),
    "connection": Meaning(what="the connection failed", advice="Is BASE_URL reachable from the workers?"),
    "broken_answer": Meaning(what="the request was sent and no whole answer came back"),
    "html_answer": Meaning(
        what="a web page came instead of the API's answer",
        advice="Look for a proxy, a login page or a wrong BASE_URL (API guide, Before starting)",
    ),
    "endless_answer": Meaning(what="the answer was longer than 64 KiB"),
    "misconfigured": Meaning(
        what="no request can be built from the settings", advice="Run `manage.py check` and correct TRACK360"
    ),
    "tls": Meaning(
        what="TLS failed",
        advice="Look at the certificate of BASE_URL, at CA_BUNDLE and at the clock of the workers",
    ),
    "http_401": Meaning(
        what="Track360 refused the brand token",
        advice="Compare BRAND_TOKEN with Brand Settings (API guide, Authentication)",
    ),
    "http_403": Meaning(
        what="Track360 refused the brand token",
        advice="Compare BRAND_TOKEN with Brand Settings (API guide, Authentication)",
    ),
    "http_404": Meaning(
        what="there is no such endpoint",
        advice="Compare BASE_URL with the one assigned to the brand (API guide, Before starting)",
    ),
    "http_413": Meaning(what="the request is too large for Track360", advice="Lower BATCH_BYTES"),
    "http_429": Meaning(what="Track360 asks for fewer requests"),
}

UNATTRIBUTED: Final[Mapping[str, str]] = {
    "no_request": "they were reported outside of a request",
    "no_parameter": "no landing with tracking data that could be kept was remembered for them",
    "no_consent": "their browser did not consent to being remembered",
    "expired": "the landing that was remembered is older than the attribution window",
    "unreadable": "what their browser remembers could not be read",
    "refused_unknown_promo_code": "they gave a promo code that PROMO_CODES does not know",
    "refused_unknown_parameter": "the header that they came with holds another name than those of TRACKING_PARAMS",
    "refused_forged": "the link or header that they came with holds a carry token (t360) that is not ours",
    "refused_expired": "the link that they came with holds a carry token (t360) that has expired",
}


def meaning_of(reason: str) -> Meaning:
    """Return what a reason means; a word for those that have no entry."""
    if known := MEANINGS.get(reason):
        return known
    if reason.startswith("http_3"):
        return Meaning(
            what="Track360 redirects, and a token is never sent to another address",
            advice="Correct BASE_URL (API guide, Before starting)",
        )
    if reason.startswith("http_4"):
        return Meaning(
            what=f"Track360 refused it ({_http(reason)})", advice="Look at the answer in the error"
        )
    if reason.startswith("http_"):
        return Meaning(what=f"Track360 could not take it ({_http(reason)})")
    return Meaning(what=reason or "no reason is known")


def why_held(model: type[Customer | Activity], reason: str) -> str:
    """Return what records that are held wait for, also those that nobody has looked at yet."""
    if reason:
        return meaning_of(reason).what
    return (
        "the signup is under way" if model is Customer else "its customer is on the way: waits until accepted"
    )


def _http(reason: str) -> str:
    return reason.replace("_", " ").upper()


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
            rest = f"who is dead: {meaning_of(customer.reason).what}. Requeue the customer."
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
    meaning = meaning_of(customer.reason)
    return _sentence(f"Waits: {meaning.what}", meaning.advice)


def _pending(record: Customer | Activity, now: datetime) -> str:
    known = (
        f"Track360 has version {record.accepted_version}, version {record.version} waits."
        if record.accepted_version
        else ""
    )
    failed = (
        f"Attempt {record.attempts} failed: {meaning_of(record.reason).what}."
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
    meaning = meaning_of(record.reason)
    return _sentence(f"Dead: {meaning.what}", meaning.advice or "Correct the cause", then="then requeue it")


def state_of_endpoint(endpoint: Endpoint, now: datetime) -> str:
    """Return whether an endpoint takes records, why not, and what to do about it."""
    if endpoint.paused_until is None:
        return "Open."
    meaning = meaning_of(endpoint.reason)
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
        yield f"Unattributed: {why_unattributed(customer.unattributed_reason)}."
    for label, touch in (("First", customer.first_touch), ("Last", customer.last_touch)):
        if touch:
            yield f"{label} touch: {_touch(touch)}."


def why_unattributed(reason: str) -> str:
    """Return why a customer has no tracking data, in words."""
    if reason in UNATTRIBUTED:
        return UNATTRIBUTED[reason]
    if reason.startswith("refused_"):
        return f"the landing's value could not be returned exactly ({reason.removeprefix('refused_')})"
    return reason or "no reason is known"


def _touch(touch: Mapping[str, Any]) -> str:
    values = ", ".join(f"{name}={value!r}" for name, value in touch.get("params", {}).items())
    at = touch.get("at")
    return f"{values} at {moment(datetime.fromtimestamp(at, UTC))}" if at is not None else values


def _activities_of(customer: Customer) -> Iterator[str]:
    counts = customer.activities.values_list("status").annotate(count=Count("pk")).order_by("status")
    listed = ", ".join(f"{count} {status}" for status, count in counts)
    yield f"Activities: {listed or 'none'}."
