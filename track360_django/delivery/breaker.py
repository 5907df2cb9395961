"""Endpoints: the two URLs of a brand, with the breaker that all its workers share."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from django.db.models import Case, F, Q, QuerySet, TextChoices, Value, When

from track360_django.db.clock import Now, from_now
from track360_django.models import Endpoint, EndpointName

# One worker probes a paused endpoint; the others wait this long for its result.
PROBE: Final = timedelta(seconds=30)


class Gate(TextChoices):
    """Whether an endpoint lets records through."""

    OPEN = "open"
    PROBE = "probe"
    CLOSED = "closed"


def knock(brand: str, name: EndpointName, *, using: str) -> tuple[Gate, Endpoint]:
    """
    Ask whether an endpoint takes records now; of many workers, one gets to probe it when its pause is over.

    Returns:
        The gate, and the endpoint's row as it was.
    """
    rows = Endpoint.objects.using(using)
    is_paused = Case(When(paused_until__gt=Now(), then=Value(value=True)), default=Value(value=False))
    endpoint = rows.filter(brand=brand, name=name).annotate(is_paused=is_paused).first()
    if endpoint is None:
        return Gate.OPEN, rows.get_or_create(brand=brand, name=name)[0]
    if endpoint.paused_until is None:
        return Gate.OPEN, endpoint
    if endpoint.is_paused:
        return Gate.CLOSED, endpoint
    is_mine = rows.filter(pk=endpoint.pk, paused_until__lte=Now()).update(paused_until=from_now(PROBE))
    return (Gate.PROBE if is_mine else Gate.CLOSED), endpoint


def note_acceptance(endpoint: Endpoint, *, is_probe: bool) -> None:
    """
    Note that an endpoint accepted records: faults in a row end here, whoever counted them.

    A pause ends with its probe alone: that the API asked for it is no less true for a batch that was under way.
    """
    rows = _endpoint(endpoint)
    if is_probe:
        rows.update(paused_until=None, failures=0, refusals=0, reason="", error="")
        endpoint.paused_until = None
    else:
        counted = rows.filter(Q(failures__gt=0) | Q(refusals__gt=0), paused_until=None)
        counted.update(failures=0, refusals=0, reason="", error="")
    endpoint.failures, endpoint.refusals = 0, 0


def note_failure(endpoint: Endpoint, *, reason: str, error: str) -> int:
    """Note one more temporary fault in a row; return how many there are."""
    _endpoint(endpoint).update(failures=F("failures") + 1, reason=reason, error=error[:500])
    endpoint.refresh_from_db(using=endpoint._state.db, fields=["failures"])
    return endpoint.failures


def note_refusal(endpoint: Endpoint) -> int:
    """Note one more record refused with none accepted since; return how many there are."""
    _endpoint(endpoint).update(refusals=F("refusals") + 1)
    endpoint.refresh_from_db(using=endpoint._state.db, fields=["refusals"])
    return endpoint.refusals


def pause(endpoint: Endpoint, wait: timedelta, *, reason: str, error: str) -> bool:
    """Pause an endpoint for a while; tell whether it was open before."""
    was_open = endpoint.paused_until is None and bool(_endpoint(endpoint).filter(paused_until=None).count())
    _endpoint(endpoint).update(paused_until=from_now(wait), reason=reason, error=error[:500])
    endpoint.refresh_from_db(using=endpoint._state.db)
    return was_open


def reopen(endpoint: Endpoint) -> None:
    """Open an endpoint whose probe was judged, refused or not; its refusals still count."""
    _endpoint(endpoint).update(paused_until=None, failures=0, reason="", error="")
    endpoint.paused_until, endpoint.failures = None, 0


def resume(endpoints: QuerySet[Endpoint]) -> int:
    """Have paused endpoints tried at once, with a clean sheet; return how many."""
    return endpoints.exclude(paused_until=None).update(paused_until=Now(), failures=0, refusals=0)


def _endpoint(endpoint: Endpoint) -> QuerySet[Endpoint]:
    return Endpoint.objects.using(endpoint._state.db).filter(pk=endpoint.pk)
