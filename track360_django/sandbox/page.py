"""The records as an HTML page. It does not show names of customers: screens are shared."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

from django.template import Context, Engine

from . import records

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from .body import Record
    from .log import Entry
    from .store import Customer, Received, Snapshot

_MAX_ROWS: Final = 500
_HIDDEN: Final = frozenset({"firstName", "lastName"})
_CUSTOMER_COLUMNS: Final = ("customerId", "tracking_data", "regtime", "country")
_ACTIVITY_COLUMNS: Final = ("eventname", "eventid", "customerid", "createtime", "Value", "Currency")
# A separate engine: the standalone server has no settings, and a host's template settings may be anything.
_ENGINE: Final = Engine(dirs=[str(Path(__file__).parent / "templates")], autoescape=True)


def render(snapshot: Snapshot) -> bytes:
    """Return the page as UTF-8, with the newest rows of each table in order of arrival."""
    refused = [entry for entry in snapshot.requests if entry.is_refused]
    content = {
        "customers": [_customer_row(each) for each in snapshot.customers[-_MAX_ROWS:]],
        "activities": [_activity_row(each) for each in snapshot.activities[-_MAX_ROWS:]],
        "totals": [[str(value) for value in row.values()] for row in records.sum_activities(snapshot)],
        "requests": [_request_row(entry) for entry in snapshot.requests[-_MAX_ROWS:]],
        "refused": [_refused_row(entry) for entry in reversed(refused[-_MAX_ROWS:])],
        "customer_count": str(len(snapshot.customers)),
        "activity_count": str(len(snapshot.activities)),
        "request_count": str(len(snapshot.requests)),
        "refused_count": str(len(refused)),
        "max_rows": str(_MAX_ROWS),
    }
    # The context has text only: numbers and dates would be localised, which needs settings.
    return _ENGINE.get_template("track360_sandbox/records.html").render(Context(content)).encode()


def _customer_row(customer: Customer) -> list[str]:
    return [
        *_cells(customer.record, _CUSTOMER_COLUMNS),
        _others(customer.record, _CUSTOMER_COLUMNS),
        str(customer.updates),
        str(customer.seq),
        customer.brand,
    ]


def _activity_row(received: Received) -> list[str]:
    return [
        *_cells(received.record, _ACTIVITY_COLUMNS),
        _others(received.record, _ACTIVITY_COLUMNS),
        str(received.seq),
        received.brand,
    ]


def _request_row(entry: Entry) -> list[str]:
    answered = _time(entry.answered_at) if entry.answered_at else "never"
    numbers = (entry.records, entry.accepted, entry.duplicates)
    return [
        str(entry.seq),
        entry.endpoint,
        _time(entry.received_at),
        answered,
        str(entry.status),
        *map(str, numbers),
        entry.fault,
        entry.brand,
    ]


def _refused_row(entry: Entry) -> dict[str, object]:
    reasons = [
        [
            "" if each.index is None else str(each.index),
            each.field or "",
            each.error,
            each.guide,
        ]
        for each in islice(entry.problems, 20)
    ]
    title = f"Request {entry.seq} to {entry.endpoint}: {entry.status}, {entry.records} records"
    return {"title": title, "reasons": reasons}


def _cells(record: Record, names: Sequence[str]) -> list[str]:
    return [str(record.get(name, "")) for name in names]


def _others(record: Record, shown: Iterable[str]) -> str:
    left_out = _HIDDEN.union(shown)
    return ", ".join(f"{name}: {value}" for name, value in record.items() if name not in left_out)


def _time(moment: datetime) -> str:
    return moment.strftime("%H:%M:%S.%f")[:-3]
