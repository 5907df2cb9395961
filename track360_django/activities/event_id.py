"""
The event id of an activity: the one that the host gives, or one that is made of a row, a day's total, or a reversal.

It takes values, and knows no model, no draft and no setting. An id is the same however often it is made.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, Final

from track360_django.api import payloads
from track360_django.api.payloads import Moment
from track360_django.exceptions import PayloadError

MAX_EVENTID: Final = 255
# Behind the id of what is reversed.
REVERSAL: Final = "-reversal"


def of_report(  # noqa: PLR0913  what an id may be made of, all named
    *,
    eventname: str,
    eventid: str | None,
    createtime: Moment | None,
    customer_id: str,
    product: str | None,
    currency: str | None,
    currencies: Mapping[str, int],
) -> str:
    """
    Return the id of what is reported: the one that is given; a day's total may have one that is made.

    Raises:
        PayloadError: There is none, and it is no day's total.
    """
    if eventid:
        return shorten(str(eventid))
    if not _is_day(createtime):
        message = "eventid is missing: give one that stays the same for a retry, such as the transaction's reference."
        raise PayloadError(message, field="eventid", reason="no_eventid")
    # In capitals, as on the wire: two spellings of a currency are one total.
    return of_day(eventname, createtime, customer_id, product, payloads.currency(currency, currencies))


def of_day(eventname: str, day: object, customer_id: str, product: str | None, currency: str | None) -> str:
    """Return the id of a day's total."""
    # The day comes second: all totals of one day are then beside each other in the index of ids.
    parts = (eventname, str(day), customer_id, product, currency)
    return shorten("-".join(str(part) for part in parts if part))


def prefix_of_day(eventname: str, day: object) -> str:
    """Return what the ids of all totals of a day begin with."""
    return f"{eventname}-{day}"


def of_row(eventname: str, pk: Any, alias: str = "") -> str:
    """Return the id of a row, in full length; with the alias of its database, where another one counts alike."""
    return f"{eventname}-{alias}-{pk}" if alias else f"{eventname}-{pk}"


def of_reversal(eventid: str) -> str:
    """Return the id of the reversal of a record."""
    return shorten(eventid, MAX_EVENTID - len(REVERSAL)) + REVERSAL


def of_dead_row(source: str, source_pk: str) -> str:
    """Return the id of a dead record that can't have the one of its row, since another row has it."""
    return f"{source}-{source_pk}"


def beside(eventid: str) -> str:
    """Return the id of a dead record that stands beside the one which has the id."""
    return shorten(f"{eventid}-?")


def storable(text: str) -> str:
    """Return a text without what no table takes, for the id of a dead record."""
    return text.encode(errors="replace").decode().replace("\0", "?")


def shorten(eventid: str, max_characters: int = MAX_EVENTID) -> str:
    """Return an id that fits; what is cut off still tells it apart."""
    if len(eventid) <= max_characters:
        return eventid
    digest = hashlib.sha256(eventid.encode(errors="surrogatepass")).hexdigest()
    return f"{eventid[: max_characters - len(digest) - 1]}-{digest}"


def _is_day(createtime: Moment | None) -> bool:
    if isinstance(createtime, str):
        return " " not in createtime
    return isinstance(createtime, date) and not isinstance(createtime, datetime)
