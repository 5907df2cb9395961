"""Report many customers with a few statements: for files, and for users who existed before the package."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any, Final, NamedTuple

from django.db import router, transaction

from track360_django import conf
from track360_django.api.payloads import FieldValue
from track360_django.customers.lookup import find_many, known_among
from track360_django.customers.merge import complete, has_news, missing_of
from track360_django.customers.row import build
from track360_django.exceptions import PayloadError
from track360_django.models import Customer, Status
from track360_django.outbox import wakeup
from track360_django.outbox.customers import add_customers, read_customer
from track360_django.users.lookup import find_users

# How many customers one transaction of `report_many` writes.
MANY: Final = 1000


@dataclass(frozen=True, kw_only=True)
class Registration:
    """
    A user or customer to report with many others: the arguments of `report`.

    `regtime` is the time of the registration; without it, the time that the user has, or now.
    """

    user: Any
    tracking: Mapping[str, str] = field(default_factory=dict)
    regtime: datetime | None = None
    fields: Mapping[str, FieldValue] = field(default_factory=dict)


@dataclass(kw_only=True)
class Reported:
    """How many customers `report_many` recorded, changed, and left unchanged."""

    new: int = 0
    changed: int = 0
    unchanged: int = 0


OnError = Callable[[Registration, PayloadError], None]


def report_many(
    registrations: Iterable[Registration],
    *,
    source: str = "import",
    brand: str = "",
    on_error: OnError | None = None,
) -> Reported:
    """
    Report many customers, a thousand in one INSERT. Existing customers are treated as in `report`.

    Args:
        registrations: May be a generator. Users of this project are found by their ids if `CUSTOMER_ID` is a column.
        source: The signup source, for the admin.
        brand: The brand of the customers; defaults to the brand for code without a request.
        on_error: Called for each registration that can't be reported exactly; the others are reported. Without it, the
            error is raised.

    Returns:
        The counts. Each thousand is committed separately, or with the surrounding transaction.

    Raises:
        PayloadError: A registration can't be reported exactly. Its thousand and all later ones were not written.

    Source: API guide, "Customer API", Implementation notes: several customers in one array, for bulk imports.
    """
    brand = conf.named_brand(brand) if brand else conf.brand_of(None)
    using = router.db_for_write(Customer)
    total = Reported()
    remaining = iter(registrations)
    while chunk := list(islice(remaining, MANY)):
        with transaction.atomic(using=using, savepoint=False):
            _report_chunk(_wanted(chunk, source, brand, on_error), brand, using, total)
            wakeup.after_commit(using=using)
    return total


def preview_many(
    registrations: Collection[Registration],
    *,
    source: str = "import",
    brand: str = "",
    on_error: OnError | None = None,
) -> Iterator[Customer]:
    """Yield the rows that `report_many` would send, as they would be sent. Nothing is written."""
    brand = conf.named_brand(brand) if brand else conf.brand_of(None)
    wanted = _wanted(registrations, source, brand, on_error)
    rows = find_many(
        {each.row.customer_id: each.row.customer_id for each in wanted},
        brand,
        using=router.db_for_write(Customer),
    )
    for each in wanted:
        stored = rows.get(each.row.customer_id)
        after = each.row if stored is None else _after(stored, each)
        if after is not None:
            rows[after.customer_id] = after
            yield after


class _Wanted(NamedTuple):
    """The wanted row of a registration, and whether its tracking data and its time were given explicitly."""

    row: Customer
    is_explicit: bool
    is_dated: bool


def _wanted(
    chunk: Collection[Registration], source: str, brand: str, on_error: OnError | None
) -> list[_Wanted]:
    users = find_users({each.user for each in chunk if isinstance(each.user, str)}, brand)
    wanted: list[_Wanted] = []
    for each in chunk:
        user = users.get(each.user, each.user) if isinstance(each.user, str) else each.user
        try:
            row = build(user, brand, None, each.tracking, source, each.fields, each.regtime)
        except PayloadError as error:
            if on_error is None:
                raise
            on_error(each, error)
        else:
            wanted.append(_Wanted(row, bool(each.tracking), each.regtime is not None))
    return wanted


def _report_chunk(wanted: list[_Wanted], brand: str, using: str, total: Reported) -> None:
    rows = Customer.objects.using(using)
    # Primary keys rise: a row with a higher one afterwards is new.
    last = rows.order_by("-pk").values_list("pk", flat=True).first() or 0
    # The first of several lines about one customer; the others complete it.
    firsts = {each.row.customer_id: each.row for each in reversed(wanted)}
    add_customers(list(firsts.values()), using=using)
    stored: dict[str, Customer | None] = {**known_among(firsts, brand, using)}
    seen: set[str] = set()
    for each in wanted:
        customer_id = each.row.customer_id
        row = stored.get(customer_id) or read_customer(brand, customer_id, using=using)
        is_changed = complete(
            row, each.row, is_explicit=each.is_explicit, is_dated=each.is_dated, is_signup=False
        )
        if row.pk > last and customer_id not in seen:
            total.new += 1
        elif is_changed:
            total.changed += 1
        else:
            total.unchanged += 1
        seen.add(customer_id)
        # A changed row is read again for the next registration of the same customer.
        stored[customer_id] = None if is_changed else row


def _after(stored: Customer, wanted: _Wanted) -> Customer | None:
    """Return a row as `complete` would change it, None if it would stay unchanged."""
    missing = missing_of(
        stored, wanted.row, is_explicit=wanted.is_explicit, is_dated=wanted.is_dated, is_signup=False
    )
    if not missing and stored.status != Status.HELD and not has_news(stored, wanted.row):
        return None
    after = copy.copy(stored)
    changes = {**missing, "fields": stored.fields | wanted.row.fields, "status": Status.PENDING}
    for name, value in changes.items():
        setattr(after, name, value)
    return after
