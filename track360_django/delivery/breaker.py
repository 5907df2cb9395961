"""Endpoints: the two URLs of a brand, each with a breaker that all workers of the brand share."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from django.db.models import Case, F, Q, QuerySet, TextChoices, Value, When

from track360_django.db.clock import Now, from_now
from track360_django.models import Endpoint, EndpointName

# One worker probes a paused endpoint. The others wait this long for the result.
PROBE: Final = timedelta(seconds=30)


class Gate(TextChoices):
    """Whether an endpoint takes records now."""

    OPEN = "open"
    PROBE = "probe"
    CLOSED = "closed"


def knock(brand: str, name: EndpointName, *, using: str) -> tuple[Gate, Endpoint]:
    """
    Return whether an endpoint takes records now. When its pause is over, only one of many workers probes it.

    Returns:
        The gate, and the endpoint's row as it was read.
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
    Note that an endpoint accepted records. This resets the counts of consecutive faults, whichever worker counted them.

    Only an accepted probe ends a pause. The API asked for the pause, and an accepted batch that was under way does not
    change that.
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
    """Note one more consecutive temporary fault; return how many there are."""
    _endpoint(endpoint).update(failures=F("failures") + 1, reason=reason, error=error[:500])
    endpoint.refresh_from_db(using=endpoint._state.db, fields=["failures"])
    return endpoint.failures


def note_refusal(endpoint: Endpoint) -> int:
    """Note one more refused record since the last accepted one; return how many there are."""
    _endpoint(endpoint).update(refusals=F("refusals") + 1)
    endpoint.refresh_from_db(using=endpoint._state.db, fields=["refusals"])
    return endpoint.refusals


def pause(endpoint: Endpoint, wait: timedelta, *, reason: str, error: str) -> bool:
    """Pause an endpoint for a while; return whether it was open before."""
    was_open = endpoint.paused_until is None and bool(_endpoint(endpoint).filter(paused_until=None).count())
    _endpoint(endpoint).update(paused_until=from_now(wait), reason=reason, error=error[:500])
    endpoint.refresh_from_db(using=endpoint._state.db)
    return was_open


def reopen(endpoint: Endpoint) -> None:
    """Open an endpoint that judged its probe, even if it refused the record. Its refusals still count."""
    _endpoint(endpoint).update(paused_until=None, failures=0, reason="", error="")
    endpoint.paused_until, endpoint.failures = None, 0


def resume(endpoints: QuerySet[Endpoint]) -> int:
    """Let paused endpoints be tried immediately, with all counts at zero; return how many."""
    return endpoints.exclude(paused_until=None).update(paused_until=Now(), failures=0, refusals=0)


def _endpoint(endpoint: Endpoint) -> QuerySet[Endpoint]:
    return Endpoint.objects.using(endpoint._state.db).filter(pk=endpoint.pk)
