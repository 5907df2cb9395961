"""What a person should know: logged once and sent as a signal, with ids, counts and reasons, never with a payload."""

from __future__ import annotations

import logging

from track360_django import signals
from track360_django.models import Activity, Customer, Endpoint

logger = logging.getLogger(__name__)


def record_dead(
    model: type[Customer | Activity], *, brand: str, pk: int | None, name: str, reason: str
) -> None:
    """Report that a record needs a person; `name` is the record's name in the admin."""
    record = str(model._meta.model_name)
    logger.error(
        "track360: %s %s of brand %s is dead (%s). Look at it in the admin, correct the cause, then requeue it.",
        record,
        name,
        brand,
        reason,
    )
    signals.record_dead.send_robust(sender=model, brand=brand, record=record, pk=pk, reason=reason)


def endpoint_paused(endpoint: Endpoint) -> None:
    """Report that an endpoint is paused: nothing is delivered to it, and it is probed from now on."""
    logger.error(
        "track360: the %s endpoint of brand %s is paused (%s); its records wait, none is lost. %s",
        endpoint.name,
        endpoint.brand,
        endpoint.reason,
        endpoint.error,
    )
    signals.endpoint_paused.send_robust(
        sender=Endpoint,
        brand=endpoint.brand,
        endpoint=endpoint.name,
        reason=endpoint.reason,
        error=endpoint.error,
    )
