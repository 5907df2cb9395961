"""The balance: the sums of the host's ledger compared with what Track360 accepted, by KPI, day, product, currency."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, tzinfo
from decimal import Context, Decimal, Inexact, Rounded
from operator import itemgetter
from typing import Any, Final, NamedTuple

from django.db.models import Max, Min

from track360_django import conf
from track360_django.activities.declarations import reversals
from track360_django.api import payloads, products
from track360_django.api.payloads import ACTIVITY_FIELDS
from track360_django.db import pages
from track360_django.exceptions import PayloadError
from track360_django.models import Activity, Status
from track360_django.outbox.body import product_shape

PAGE: Final = 5000
# A record is written when its event happens, or later. Two clocks, and two time zones, may differ by this much.
SLACK: Final = timedelta(days=2)

# Python's default context rounds a sum to 28 digits without an error.
_EXACT: Final = Context(prec=200, traps=[Inexact, Rounded])
_NUMBER: Final = re.compile(r"-?[0-9]+(\.[0-9]+)?")
_VALUE: Final = "Value"


class Key(NamedTuple):
    """The amounts with the same key are added up; all names are as they are sent to Track360."""

    eventname: str
    kpi: str
    day: str
    product: str
    currency: str


@dataclass(kw_only=True)
class Line:
    """
    One line of the balance.

    `ledger` is None if no declaration has the KPI, because then the sum is unknown. `waiting` is held or pending,
    `dead` needs a person.
    """

    ledger: Decimal | None = None
    accepted: Decimal = Decimal(0)
    waiting: Decimal = Decimal(0)
    dead: Decimal = Decimal(0)
    rows: int = 0
    records: int = 0

    @property
    def difference(self) -> Decimal | None:
        """The part of the ledger that Track360 does not have."""
        return None if self.ledger is None else _EXACT.subtract(self.ledger, self.accepted)

    @property
    def unexplained(self) -> Decimal:
        """The part of the ledger that is neither accepted, nor waiting, nor dead."""
        if self.ledger is None:
            return Decimal(0)
        known = _EXACT.add(self.accepted, _EXACT.add(self.waiting, self.dead))
        return _EXACT.subtract(self.ledger, known)


@dataclass(kw_only=True)
class Balance:
    """
    All lines, from a day on.

    Their number depends on the KPIs, days, products and currencies, not on the number of rows.
    """

    since: date
    lines: dict[Key, Line] = field(default_factory=dict)
    # Rows with a value, currency or time that can't be read. They have dead records, or will have them.
    unreadable: int = 0

    def __post_init__(self) -> None:
        """Read the settings once, because there may be a million rows."""
        self._first = self.since.isoformat()
        self._zone = zone()
        self._code = functools.lru_cache(_code)
        self._wire = functools.lru_cache(_on_the_wire)
        self._field = functools.cache(conf.product_field)

    def sorted(self) -> Iterator[tuple[Key, Line]]:
        """Yield the lines that have rows or records, sorted by KPI, day, product and currency."""
        for key in sorted(self.lines):
            line = self.lines[key]
            if line.rows or line.records:
                yield key, line

    def add_row(self, eventname: str, value: Any, currency: Any, createtime: Any, product: Any) -> None:
        """Add a row of the ledger."""
        try:
            wire, shown, kpi = self._wire(eventname, _VALUE, str(product) if product else "")
            day = self._day_of(createtime)
            number = _number(value)
            code = self._code(currency)
        except (PayloadError, ArithmeticError, TypeError, ValueError):
            self.unreadable += 1
            return
        if number is not None and day >= self._first:
            self._ledger(Key(wire, kpi, day, shown, code), number)

    def add_total(
        self, eventname: str, kpis: Mapping[str, Decimal | int], currency: str, day: date, product: str
    ) -> None:
        """Add a day's total of the ledger."""
        for kpi, value in kpis.items():
            wire, shown, name = self._wire(eventname, _VALUE if kpi == "value" else kpi, product)
            self._ledger(Key(wire, name, day.isoformat(), shown, self._code(currency)), Decimal(value))

    def add_body(self, body: str, brand: str) -> None:
        """Add the amounts of a record to the ledger, for a row that was reversed and does not count any more."""
        for key, number in self._numbers_of(body, brand):
            self._ledger(key, number)

    def take_back(self, body: str, brand: str) -> None:
        """Subtract the amounts of a reversal from the ledger, because its row counts again."""
        for key, number in self._numbers_of(body, brand):
            self._ledger(key, -number)

    def _ledger(self, key: Key, number: Decimal) -> None:
        line = self.lines.setdefault(key, Line())
        line.ledger = _EXACT.add(line.ledger or Decimal(0), number)
        line.rows += 1

    def add_records(self, using: str, eventnames: Collection[str]) -> None:
        """
        Add all records of a database from the first day on, in pages.

        Records with one of `eventnames` have a ledger, which may be empty. For other records the ledger is unknown.
        """
        for page in _pages_since(self.since, using):
            for brand, eventname, source, status, version, accepted_version, body in page:
                is_accepted = bool(accepted_version) and accepted_version == version
                is_reversal = source.endswith(reversals.MARK)
                for key, number in self._numbers_of(body, brand):
                    if is_reversal:
                        # It was reported because its row does not count any more.
                        self._ledger(key, number)
                    line = self.lines.setdefault(key, Line())
                    if line.ledger is None and eventname in eventnames:
                        line.ledger = Decimal(0)
                    line.records += 1
                    _add(line, number, status, is_accepted=is_accepted)

    def _day_of(self, createtime: Any) -> str:
        if isinstance(createtime, datetime) and createtime.tzinfo is not None:
            return createtime.astimezone(self._zone).date().isoformat()
        return payloads.moment(conf.aware(createtime), self._zone, name="createtime")[:10]

    def _numbers_of(self, body: str, brand: str) -> Iterator[tuple[Key, Decimal]]:
        """
        Yield the amounts of a body with their lines: its Value, or each KPI field.

        A pruned body yields nothing.
        """
        record: dict[str, Any] = json.loads(body) if body else {}
        day = str(record.get("createtime", ""))[:10]
        if day < self._first:
            return
        field = self._field(brand)
        product = str(record.get(field, "")) if field else ""
        for name in (_VALUE,) if _VALUE in record else record.keys() - ACTIVITY_FIELDS - {field}:
            text = record[name]
            if isinstance(text, str) and _NUMBER.fullmatch(text):
                key = Key(
                    str(record.get("eventname", "")), name, day, product, str(record.get("Currency", ""))
                )
                yield key, Decimal(text)


def _add(line: Line, number: Decimal, status: str, *, is_accepted: bool) -> None:
    if is_accepted:
        line.accepted = _EXACT.add(line.accepted, number)
    elif status == Status.DEAD:
        line.dead = _EXACT.add(line.dead, number)
    else:
        line.waiting = _EXACT.add(line.waiting, number)


def zone() -> tzinfo:
    """Return the time zone of the days: that of the first brand."""
    return conf.time_zone(conf.brands()[0])


def first_pk_since(day: date, using: str) -> int:
    """
    Return a primary key below which no record belongs to this day or a later one.

    Primary keys rise with the time at which records were written, except for small disorder. So a binary search finds
    the place without an index on that time.
    """
    rows = Activity.objects.using(using)
    since = datetime.combine(day, datetime.min.time(), tzinfo=zone()) - SLACK
    bounds = rows.aggregate(low=Min("pk"), high=Max("pk"))
    low, high = bounds["low"] or 0, (bounds["high"] or 0) + 1

    def is_before(pk: int) -> bool:
        created_at = rows.filter(pk__gte=pk).order_by("pk").values_list("created_at", flat=True).first()
        return created_at is not None and created_at < since

    if not is_before(low):
        # All records are that young, as in a new table.
        return low
    while low < high:
        middle = (low + high) // 2
        if is_before(middle):
            low = middle + 1
        else:
            high = middle
    return int(low)


def _pages_since(day: date, using: str) -> Iterator[list[tuple[Any, ...]]]:
    names = ("brand", "eventname", "source", "status", "version", "accepted_version", "body")
    rows = Activity.objects.using(using).filter(pk__gte=first_pk_since(day, using)).values_list("pk", *names)
    for page in pages.by_key(rows, PAGE, key_of=itemgetter(0)):
        yield [row[1:] for row in page]


def _number(value: Any) -> Decimal | None:
    """Return an amount of the ledger; None if a row has no amount."""
    if value is None or (type(value) is Decimal and value.is_finite()):
        return value
    return Decimal(payloads.number(value, name=_VALUE, places=0))


def _code(currency: Any) -> str:
    return payloads.currency(currency, conf.for_brand(conf.brands()[0]).CURRENCIES) or ""


def _on_the_wire(eventname: str, kpi: str, product: str) -> tuple[str, str, str]:
    """Return event name, product and KPI as they are in a record."""
    brand = conf.brands()[0]
    shape = product_shape(brand) if product else None
    if shape is None:
        return eventname, "", kpi
    kpis = () if kpi == _VALUE else (kpi,)
    names = products.names_of(shape, product, eventname=eventname, kpis=kpis)
    return names.eventname, product if conf.product_field(brand) else "", names.kpis.get(kpi, kpi)
