"""The host reports activities by a call: one, or many at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import Any, Final

from django.db import router, transaction

from track360_django.activities import corrections, lookup, store
from track360_django.activities.draft import Draft, draft_of
from track360_django.api.payloads import FieldValue, Moment, Number
from track360_django.exceptions import PayloadError
from track360_django.models import Activity

MANY: Final = 1000


def report(  # noqa: PLR0913  the guide's fields, all named
    eventname: str,
    *,
    customer: Any,
    value: Number | None = None,
    currency: str | None = None,
    createtime: Moment | None = None,
    eventid: str | None = None,
    product: str | None = None,
    brand: str | None = None,
    **fields: FieldValue,
) -> Activity:
    """
    Report one activity of a customer.

    Idempotent on `eventid`: the same activity reported twice is sent once.

    Args:
        eventname: The KPI, named as agreed: "Deposit", "GGR", ...
        customer: The host's user, a `Customer`, or a customer id as text. Who was never reported is reported first.
        value: A Decimal or an int, never a float. Money (with a currency) gets its minor units.
        currency: ISO code of three letters, or one of `CURRENCIES`.
        createtime: When it happened: an aware datetime, or a date for a day's total. Now, if left out.
        eventid: Unique and the same for each retry, such as the transaction's reference. It may be left out for a
            day's total only: then it is made of event name, day, customer, product and currency.
        product: Casino, Sports, ...; needs `PRODUCT_FIELD`.
        brand: Of a host with several: without it the one of which the customer is one; if they are one of several, the
            current request's.
        fields: KPI numbers and details as agreed, under the names that Track360 knows.

    Returns:
        The record, written in the current transaction. It is delivered after the commit, and never before its
        customer was accepted.

    Raises:
        PayloadError: A value can't be reported exactly, or `eventid` is missing. Nothing was written.
        BrandError: Nobody can tell the brand, or there is none of that name. It is a PayloadError, too.

    Source: API guide, "Activity API"; always sending an eventid is our choice: without one a retry pays twice.
    """
    draft = Draft(
        eventname=eventname,
        customer=customer,
        value=value,
        currency=currency,
        createtime=createtime,
        eventid=eventid,
        product=product,
        fields=fields,
        brand=brand,
    )
    using = router.db_for_write(Activity)
    wanted, is_news = store.write(draft, using)
    stored = lookup.read(wanted, using)
    if is_news:
        return stored
    corrections.compare_latest(stored, wanted, is_time_given=createtime is not None, using=using)
    return lookup.read(wanted, using)


OnError = Callable[[Mapping[str, Any], PayloadError], None]


def report_many(
    rows: Iterable[Mapping[str, Any]], *, brand: str | None = None, on_error: OnError | None = None
) -> int:
    """
    Report many activities, a thousand in one INSERT; those that are there already are compared as `report` does.

    Args:
        rows: Mappings with the arguments of `report`, `eventname` among them. May be a generator.
        brand: Of the rows that name none; without it, as in `report`.
        on_error: Called with each row that can't be reported exactly, and why; the others are reported.

    Returns:
        How many rows were read.

    Raises:
        PayloadError: A row can't be reported exactly, and there is no `on_error`; its thousand and those behind it were
            not written.

    Source: API guide, "General API Conventions", Batching.
    """
    using = router.db_for_write(Activity)
    total = 0
    remaining = iter(rows)
    while chunk := list(islice(remaining, MANY)):
        _report_chunk(chunk, brand, on_error, using)
        total += len(chunk)
    return total


def _report_chunk(
    chunk: list[Mapping[str, Any]], brand: str | None, on_error: OnError | None, using: str
) -> None:
    def refuse(index: int, error: Exception) -> None:
        if on_error is None or not isinstance(error, PayloadError):
            raise error
        on_error(chunk[index], error)

    with transaction.atomic(using=using):
        usual = {} if brand is None else {"brand": brand}
        wanted = [draft_of({**usual, **row}) for row in chunk]
        store.write_many(wanted, using, refuse=refuse)
