"""
Reversals: activities for rows that were reported but do not count any more.

By default nothing is reported, because the agreement with Track360 may have no reversals. `on_reverse` says what is
reported. A reversal is made from the sent record and not from the row: the row may have been emptied by the reversal,
changed before it, or deleted.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final

from django.db.models import Model
from django.utils import timezone

from track360_django import conf
from track360_django.activities import event_id
from track360_django.activities.declarations.declaration import Declaration
from track360_django.activities.declarations.ledger import column_of
from track360_django.activities.draft import attach, build_record
from track360_django.api import payloads
from track360_django.db.lookups import is_one_of
from track360_django.exceptions import PayloadError
from track360_django.models import Activity, Customer, Status

NEGATIVE: Final = "negative"
# Behind the label of the model whose row is reversed: an id of the host may end as it likes.
MARK: Final = " reversed"
MAX_SOURCE: Final = 100
# Why a person has to report a reversal.
_CORRECTED: Final = "a correction of the record was refused, so Track360 has a different amount"
_NAMELESS: Final = "the record was sent under an event name that does not show its product"
_WITHOUT_CUSTOMER: Final = "the record has no customer"
_NUMBERLESS: Final = "the record has no number"
_NUMBER: Final = re.compile(r"-?[0-9]+(\.[0-9]+)?")


def is_negative(declaration: Declaration) -> bool:
    """Return whether a reversal is reported under the same event name, with the other sign."""
    return declaration.on_reverse in {NEGATIVE, declaration.eventname}


def eventname_of(declaration: Declaration) -> str:
    """Return the event name of a declaration's reversals."""
    return declaration.eventname if is_negative(declaration) else str(declaration.on_reverse)


def id_of(reported: Activity) -> str:
    """Return the event id of the reversal of a record: the same however often it is told."""
    return event_id.of_reversal(reported.eventid)


def source_of(declaration: Declaration) -> str:
    """Return what the reversals of a model's rows are kept under; no model is called so."""
    return event_id.shorten(declaration.model._meta.label, MAX_SOURCE - len(MARK)) + MARK


def find_reported(declaration: Declaration, row: Model, using: str) -> Activity | None:
    """
    Return the record of a row that Track360 has or will have. A dead record that was never accepted does not count.

    Raises:
        PayloadError: The row's event id can't be read.
    """
    if declaration.on_reverse is None:
        return None
    rows = Activity.objects.using(using).filter(
        eventid=event_id.shorten(declaration.id_of(row)),
        eventname=declaration.eventname,
        source=declaration.model._meta.label,
        source_pk=str(declaration.pk_of(row)),
    )
    return rows.exclude(status=Status.DEAD, accepted_version=0).select_related("customer").first()


def find_reversal(declaration: Declaration, reported: Activity, using: str) -> Activity | None:
    """Return the reversal of a record; None if there is none."""
    rows = Activity.objects.using(using).filter(
        eventid=id_of(reported),
        eventname=eventname_of(declaration),
        brand=reported.brand,
        source=source_of(declaration),
        source_pk=reported.source_pk,
    )
    return rows.first()


def reported_among(declaration: Declaration, rows: Sequence[Model], using: str) -> Iterator[Model]:
    """Yield the rows that may have been reported, with one query. Only `find_reported` decides whether they were."""
    if declaration.on_reverse is None:
        return
    ids: dict[str, list[Model]] = defaultdict(list)
    for row in rows:
        try:
            ids[event_id.shorten(declaration.id_of(row))].append(row)
        except Exception:  # noqa: BLE001, S112  without an id, which the host's method makes, nothing was reported
            continue
    if ids:
        known = Activity.objects.using(using).filter(
            is_one_of("eventid", ids), source=declaration.model._meta.label
        )
        for eventid in set(known.values_list("eventid", flat=True)):
            yield from ids[eventid]


def build(declaration: Declaration, reported: Activity, row: Model | None) -> Activity:
    """
    Return the unsaved reversal of a record.

    Raises:
        PayloadError: It is not certain what must be reversed, so a person decides.
    """
    if not reported.body:
        return _build_of_row(declaration, reported, row)
    if reported.status == Status.DEAD:
        raise _unclear(_CORRECTED)
    body: dict[str, Any] = json.loads(reported.body)
    body["eventname"] = _renamed(declaration, str(body.get("eventname", "")))
    body["eventid"] = id_of(reported)
    body["createtime"] = _moment_of(declaration, reported, row)
    if is_negative(declaration):
        body = _negative(declaration, row, body, conf.product_field(reported.brand))
    reversal = Activity(
        brand=reported.brand,
        eventname=eventname_of(declaration),
        eventid=id_of(reported),
        body=payloads.to_json(body),
        source=source_of(declaration),
        source_pk=reported.source_pk,
    )
    # The row may be deleted with all that led to the customer.
    return attach(reversal, _customer_of(reported))


def _unclear(why: str) -> PayloadError:
    message = f"The reversal can't be created exactly, because {why}: report it with activities.report()."
    return PayloadError(message, field="Value", reason="unclear_reversal")


def _renamed(declaration: Declaration, sent: str) -> str:
    """Return the event name of a reversal. If the record's event name contains the product, this one does too."""
    name = declaration.eventname
    if is_negative(declaration) or not sent:
        return sent or name
    if sent == name:
        return eventname_of(declaration)
    if sent.startswith(name) is sent.endswith(name):
        raise _unclear(_NAMELESS)
    if sent.startswith(name):
        return eventname_of(declaration) + sent[len(name) :]
    return sent[: -len(name)] + eventname_of(declaration)


def _negative(
    declaration: Declaration, row: Model | None, body: dict[str, Any], product_field: str
) -> dict[str, Any]:
    """
    Return a body with the other sign on each number.

    Raises:
        PayloadError: There is no number, or it is unknown whether a field is a number or a text.
    """
    kinds = _kinds(declaration, row)
    turned: dict[str, Any] = {}
    for name, text in body.items():
        is_fixed = name in payloads.ACTIVITY_FIELDS - {"Value"} or name == product_field
        if is_fixed or not isinstance(text, str) or not _NUMBER.fullmatch(text):
            continue
        is_number = name == "Value" or _kind_of(name, kinds)
        if is_number is None:
            why = f"it is unknown whether {name} is a number or a text"
            raise _unclear(why)
        if is_number:
            turned[name] = _negated(text)
    if not turned:
        raise _unclear(_NUMBERLESS)
    return body | turned


def _kind_of(name: str, kinds: Mapping[str, bool]) -> bool | None:
    """Return whether a field is a number, also if its name contains the product; None if this is unknown."""
    if name in kinds:
        return kinds[name]
    shaped = [field for field in kinds if name.startswith(field) or name.endswith(field)]
    return kinds[max(shaped, key=len)] if shaped else None


def _kinds(declaration: Declaration, row: Model | None) -> dict[str, bool]:
    """Return which additional fields are numbers and which are not, as far as the columns and the row show it."""
    values: Mapping[str, Any] = {}
    with contextlib.suppress(Exception):
        # A method of the host may fail for a row that does not count any more.
        values = declaration.draft_of(row).fields if row is not None else {}
    kinds: dict[str, bool] = {}
    for name, path in declaration.fields.items():
        column = column_of(declaration.model, path) if isinstance(path, str) else None
        if column is not None and not hasattr(declaration, f"get_{name}"):
            kinds[name] = column.get_internal_type() in _NUMBERS
        elif values.get(name) is not None:
            kinds[name] = _is_number(values[name])
    return kinds


def _customer_of(reported: Activity) -> Customer:
    if reported.customer is None:
        raise _unclear(_WITHOUT_CUSTOMER)
    return reported.customer


def _build_of_row(declaration: Declaration, reported: Activity, row: Model | None) -> Activity:
    """Return the reversal of a record that was pruned. Only the row still has the amount."""
    draft = None if row is None else declaration.draft_of(row)
    value = None if draft is None else _as_number(draft.value)
    if row is None or draft is None or not value:
        message = (
            "The body of the record was pruned (RETENTION_DAYS), and its row has no amount any more: report the "
            "reversal with activities.report()."
        )
        raise PayloadError(message, field="Value", reason="pruned")
    sign = -1 if is_negative(declaration) else 1
    reversal = build_record(
        replace(
            draft,
            eventname=eventname_of(declaration),
            eventid=id_of(reported),
            createtime=declaration.reversed_at_of(row),
            value=_times(sign, value),
            fields={name: _times(sign, each) for name, each in draft.fields.items()},
        ),
        reported.brand,
        _customer_of(reported).customer_id,
    )
    reversal.source = source_of(declaration)
    return attach(reversal, _customer_of(reported))


def _moment_of(declaration: Declaration, reported: Activity, row: Model | None) -> str:
    when = None if row is None else declaration.reversed_at_of(row)
    zone = conf.time_zone(reported.brand)
    return payloads.moment(conf.aware(when or timezone.now()), zone, name="createtime")


_NUMBERS: Final = frozenset(
    (
        "DecimalField",
        "IntegerField",
        "BigIntegerField",
        "SmallIntegerField",
        "PositiveIntegerField",
        "PositiveBigIntegerField",
        "PositiveSmallIntegerField",
    )
)


def _negated(text: Any) -> Any:
    """Return the text of a number with the other sign; zero has no sign."""
    if not isinstance(text, str) or not _NUMBER.fullmatch(text) or not Decimal(text):
        return text
    return text[1:] if text.startswith("-") else f"-{text}"


def _times(sign: int, value: Any) -> Any:
    return value * sign if _is_number(value) else value


def _is_number(value: Any) -> bool:
    return isinstance(value, Decimal | int) and not isinstance(value, bool)


def _as_number(value: Any) -> Any:
    """Return an amount as a number if it is a text, so that its sign can change. An invalid amount is refused later."""
    try:
        return Decimal(value) if isinstance(value, str) else value
    except ArithmeticError:
        return value
