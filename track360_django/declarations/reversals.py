"""
Reversals: a row that was reported and counts no more.

By default nothing is reported of it, for the agreement may know no such thing. `on_reverse` names what is.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final

from django.db.models import Model

from track360_django import conf, drafts
from track360_django.declarations.reading import Declaration
from track360_django.drafts import Draft
from track360_django.expressions import is_one_of
from track360_django.models import Activity, Status

NEGATIVE: Final = "negative"
# Behind the id of what is reversed.
SUFFIX: Final = "-reversal"


def is_negative(declaration: Declaration) -> bool:
    """Tell whether a reversal is told under the same event name, with the other sign."""
    return declaration.on_reverse in {NEGATIVE, declaration.eventname}


def eventname_of(declaration: Declaration) -> str:
    """Return the event name of a declaration's reversals."""
    return declaration.eventname if is_negative(declaration) else str(declaration.on_reverse)


def id_of(declaration: Declaration, row: Model) -> str:
    """Return the event id of a row's reversal: the same however often it is told."""
    return f"{declaration.id_of(row)}{SUFFIX}"


def find_reported(declaration: Declaration, row: Model, using: str) -> Activity | None:
    """Return the record of a row that Track360 has or will have; what is dead was not reported."""
    if declaration.on_reverse is None:
        return None
    rows = Activity.objects.using(using).filter(
        eventid=drafts.shorten(declaration.id_of(row)),
        eventname=declaration.eventname,
        source=declaration.model._meta.label,
        source_pk=str(declaration.pk_of(row)),
    )
    return rows.exclude(status=Status.DEAD, accepted_version=0).select_related("customer").first()


def reported_among(declaration: Declaration, rows: Sequence[Model], using: str) -> list[Model]:
    """Return those of some rows that were reported, in one query; `find_reported` has the last word."""
    if declaration.on_reverse is None or not rows:
        return []
    ids = {drafts.shorten(declaration.id_of(row)): row for row in rows}
    known = Activity.objects.using(using).filter(
        is_one_of("eventid", ids), source=declaration.model._meta.label
    )
    return [ids[eventid] for eventid in set(known.values_list("eventid", flat=True))]


def draft_of(declaration: Declaration, row: Model, reported: Activity) -> Draft:
    """Return what a row's reversal says: the amount that was reported, of the same customer."""
    draft = declaration.draft_of(row)
    sign = -1 if is_negative(declaration) else 1
    return replace(
        draft,
        eventname=eventname_of(declaration),
        # The row may be deleted with all that led to the customer.
        customer=reported.customer,
        eventid=id_of(declaration, row),
        createtime=declaration.reversed_at_of(row),
        value=_times(sign, _as_number(_reported_value(draft, reported))),
        fields={name: _times(sign, value) for name, value in draft.fields.items()},
    )


def _reported_value(draft: Draft, reported: Activity) -> Any:
    """Return the amount as it was reported: the row may have been emptied with its reversal, or changed before it."""
    if draft.value is None or not reported.body:
        return draft.value
    value = json.loads(reported.body).get("Value")
    return draft.value if value is None else Decimal(str(value))


def _times(sign: int, value: Any) -> Any:
    """Return a number with a sign; what is no number, such as a text, a date or a bool, as it is."""
    is_number = isinstance(value, Decimal | int) and not isinstance(value, bool)
    return value * sign if is_number else value


def _as_number(value: Any) -> Any:
    """Return an amount that was given as text as a number, so that it has a sign; what is none is refused later."""
    try:
        return Decimal(value) if isinstance(value, str) else value
    except ArithmeticError:
        return value


def draft_of_gone(declaration: Declaration, reported: Activity) -> Draft | None:
    """Return what the reversal of a row says that is gone without a word; None where its record doesn't tell."""
    body = json.loads(reported.body) if reported.body else {}
    if "Value" not in body or len(reported.eventid) >= drafts.MAX_EVENTID:
        return None
    field = conf.for_brand(reported.brand).PRODUCT_FIELD
    sign = -1 if is_negative(declaration) else 1
    return Draft(
        # As it was sent: its product may be part of the name.
        eventname=body["eventname"] if is_negative(declaration) else eventname_of(declaration),
        customer=reported.customer,
        value=Decimal(body["Value"]) * sign,
        currency=body.get("Currency"),
        eventid=f"{reported.eventid}{SUFFIX}",
        fields={field: body[field]} if isinstance(field, str) and field in body else {},
        source=reported.source,
        source_pk=reported.source_pk,
    )
