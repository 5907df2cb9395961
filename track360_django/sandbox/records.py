"""The content of the store as JSON values, and its sums."""

from __future__ import annotations

from collections import defaultdict
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal, localcontext
from typing import TYPE_CHECKING, Final

from . import guide

if TYPE_CHECKING:
    from datetime import datetime

    from .log import Entry
    from .store import Customer, Received, Snapshot

Row = dict[str, object]

_AMOUNTS: Final = ("Value", *guide.KPI_FIELDS)
_EXACT: Final = Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN)


def as_json(snapshot: Snapshot) -> Row:
    """Return everything in the store; lists are in order of arrival."""
    return {
        "customers": [_describe_customer(each) for each in snapshot.customers],
        "customer_calls": [_describe_received(each) for each in snapshot.customer_calls],
        "activities": [_describe_received(each) for each in snapshot.activities],
        "totals": sum_activities(snapshot),
        "counts": snapshot.counts,
        "requests": [_describe_request(entry) for entry in snapshot.requests],
    }


def sum_activities(snapshot: Snapshot) -> list[Row]:
    """Return one row per event name, amount field and currency, sorted; `sum` is an exact decimal string."""
    sums: dict[tuple[str, str, str], list[Decimal]] = defaultdict(list)
    for each in snapshot.activities:
        name, currency = str(each.record["eventname"]), str(each.record.get("Currency", ""))
        amounts = [amount for amount in _AMOUNTS if amount in each.record]
        for amount in amounts:
            sums[name, amount, currency].append(Decimal(str(each.record[amount])))
        if not amounts:
            sums[name, "", currency].append(Decimal(0))
    return [
        {
            "eventname": name,
            "field": amount,
            "currency": currency,
            "records": len(values),
            "sum": _add(values),
        }
        for (name, amount, currency), values in sorted(sums.items())
    ]


def _add(values: list[Decimal]) -> str:
    """Add without rounding: the default context keeps 28 digits, and the guide sets no limit."""
    with localcontext(_EXACT):
        return f"{sum(values, Decimal(0)):f}"


def _describe_customer(customer: Customer) -> Row:
    return {
        "seq": customer.seq,
        "brand": customer.brand,
        "updates": customer.updates,
        "record": customer.record,
    }


def _describe_received(received: Received) -> Row:
    return {"seq": received.seq, "brand": received.brand, "record": received.record}


def _describe_request(entry: Entry) -> Row:
    return {
        "seq": entry.seq,
        "endpoint": entry.endpoint,
        "brand": entry.brand,
        "received_at": _format(entry.received_at),
        "answered_at": _format(entry.answered_at) if entry.answered_at else None,
        "status": entry.status,
        "records": entry.records,
        "accepted": entry.accepted,
        "duplicates": entry.duplicates,
        "fault": entry.fault,
        "errors": [problem.as_json() for problem in entry.problems],
    }


def _format(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds")
