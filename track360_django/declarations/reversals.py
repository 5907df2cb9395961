"""
Reversals: a row that was reported and counts no more.

By default nothing is reported of it, for the agreement may know no such thing. `on_reverse` names what is.
A reversal is made of what was sent, and not of the row, which may be emptied with it, changed before it, or gone.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final

from django.db.models import Model
from django.utils import timezone

from track360_django import conf, drafts, identity, payloads
from track360_django.declarations.ledger import column_of
from track360_django.declarations.reading import Declaration
from track360_django.exceptions import PayloadError
from track360_django.expressions import is_one_of
from track360_django.models import Activity, Status

NEGATIVE: Final = "negative"
# Behind the id of what is reversed.
SUFFIX: Final = "-reversal"
_NUMBER: Final = re.compile(r"-?[0-9]+(\.[0-9]+)?")


def is_negative(declaration: Declaration) -> bool:
    """Tell whether a reversal is told under the same event name, with the other sign."""
    return declaration.on_reverse in {NEGATIVE, declaration.eventname}


def eventname_of(declaration: Declaration) -> str:
    """Return the event name of a declaration's reversals."""
    return declaration.eventname if is_negative(declaration) else str(declaration.on_reverse)


def id_of(reported: Activity) -> str:
    """Return the event id of the reversal of a record: the same however often it is told."""
    return drafts.shorten(f"{reported.eventid}{SUFFIX}")


def find_reported(declaration: Declaration, row: Model, using: str) -> Activity | None:
    """
    Return the record of a row that Track360 has or will have; what is dead was not reported.

    Raises:
        PayloadError: The row's event id can't be read.
    """
    if declaration.on_reverse is None:
        return None
    rows = Activity.objects.using(using).filter(
        eventid=drafts.shorten(declaration.id_of(row)),
        eventname=declaration.eventname,
        source=declaration.model._meta.label,
        source_pk=str(declaration.pk_of(row)),
    )
    return rows.exclude(status=Status.DEAD, accepted_version=0).select_related("customer").first()


def find_reversal(reported: Activity, using: str) -> Activity | None:
    """Return the reversal of a record, None where none was told."""
    rows = Activity.objects.using(using).filter(
        eventid=id_of(reported), source=reported.source, source_pk=reported.source_pk
    )
    return rows.first()


def reported_among(declaration: Declaration, rows: Sequence[Model], using: str) -> Iterator[Model]:
    """Yield those of some rows that may have been reported, in one query; `find_reported` has the last word."""
    if declaration.on_reverse is None:
        return
    ids: dict[str, list[Model]] = defaultdict(list)
    for row in rows:
        try:
            ids[drafts.shorten(declaration.id_of(row))].append(row)
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
        PayloadError: Its body was pruned, and the row is gone or has no amount any more.
    """
    if not reported.body:
        return _build_of_row(declaration, reported, row)
    body: dict[str, Any] = json.loads(reported.body)
    # As it was sent: its product may be part of the name.
    sent = str(body.get("eventname", reported.eventname))
    body["eventname"] = sent.replace(declaration.eventname, eventname_of(declaration), 1)
    body["eventid"] = id_of(reported)
    body["createtime"] = _moment_of(declaration, reported, row)
    if is_negative(declaration):
        for name in {"Value", *_numbers(declaration, row)} & body.keys():
            body[name] = _negated(body[name])
    reversal = Activity(
        brand=reported.brand,
        eventname=eventname_of(declaration),
        eventid=id_of(reported),
        body=payloads.to_json(body),
        source=reported.source,
        source_pk=reported.source_pk,
    )
    # The row may be deleted with all that led to the customer.
    return drafts.attach(reversal, _customer_of(reported))


def _build_of_row(declaration: Declaration, reported: Activity, row: Model | None) -> Activity:
    """Return the reversal of a record that was pruned: all that is known of the amount is in the row."""
    draft = None if row is None else declaration.draft_of(row)
    value = None if draft is None else _as_number(draft.value)
    if row is None or draft is None or not value:
        message = (
            "The body of what was reported was pruned (RETENTION_DAYS), and its row has no amount any more: report the "
            "reversal with activities.report()."
        )
        raise PayloadError(message, field="Value", reason="pruned")
    sign = -1 if is_negative(declaration) else 1
    reversal = drafts.build(
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
    return drafts.attach(reversal, _customer_of(reported))


def _customer_of(reported: Activity) -> Any:
    return reported.customer


def _moment_of(declaration: Declaration, reported: Activity, row: Model | None) -> str:
    when = None if row is None else declaration.reversed_at_of(row)
    zone = conf.time_zone(reported.brand)
    return payloads.moment(identity.aware(when or timezone.now()), zone, name="createtime")


def _numbers(declaration: Declaration, row: Model | None) -> Iterator[str]:
    """Yield the additional fields that are numbers: a text that is made of digits has no sign."""
    for name, path in declaration.fields.items():
        column = column_of(declaration.model, path) if isinstance(path, str) else None
        if column is not None:
            if column.get_internal_type() in {"DecimalField", "IntegerField", "BigIntegerField"} | _SMALL:
                yield name
        elif row is not None and _is_number(declaration.draft_of(row).fields.get(name)):
            yield name


_SMALL: Final = frozenset(
    ("SmallIntegerField", "PositiveIntegerField", "PositiveBigIntegerField", "PositiveSmallIntegerField")
)


def _negated(text: Any) -> Any:
    """Return the text of a number with the other sign; zero has none."""
    if not isinstance(text, str) or not _NUMBER.fullmatch(text) or not Decimal(text):
        return text
    return text[1:] if text.startswith("-") else f"-{text}"


def _times(sign: int, value: Any) -> Any:
    return value * sign if _is_number(value) else value


def _is_number(value: Any) -> bool:
    return isinstance(value, Decimal | int) and not isinstance(value, bool)


def _as_number(value: Any) -> Any:
    """Return an amount that was given as text as a number, so that it has a sign; what is none is refused later."""
    try:
        return Decimal(value) if isinstance(value, str) else value
    except ArithmeticError:
        return value
