"""
Money that may count twice: totals that take the place of others, and KPIs that are reported per event, too.

If a product is added or corrected, or if the currency or the customer id changes, the same money becomes another total.
If the first total can't be corrected, the second one would be paid as well.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any, Final

from django.db.models import Model

from track360_django import conf
from track360_django.activities.declarations import declarations, reversals
from track360_django.api import payloads
from track360_django.daily.writer import Wanted
from track360_django.exceptions import PayloadError
from track360_django.models import Activity, Customer

_BOTH: Final = frozenset({1, -1})
# A key of one customer, or of one user, because a user's customer id may have changed.
_Owner = tuple[str, ...]


class Regrouping:
    """
    Collects the totals that can only be flagged, and keeps back new totals of the same customer that may contain the
    same money.

    If a total is gone, or if one of its numbers has become smaller, the missing amount may be in any new total of its
    customer. A total that has grown has lost nothing, unless a new total is below zero. For a total that has grown
    below zero, it is the other way round.
    """

    def __init__(self) -> None:
        # The directions in which numbers have changed.
        self._moves: dict[_Owner, set[int]] = defaultdict(set)
        # The contents of reported totals that are gone completely, without the customer.
        self._gone: set[tuple[str, ...]] = set()

    def note_gone(self, stored: Activity) -> None:
        """Note a total that no row contributes to any more, and that stays as it was reported."""
        self._note(stored, _BOTH)
        if stored.body:
            self._gone.add(_content(stored.brand, stored.body))

    def note_change(self, stored: Activity, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
        """Note a total with changed numbers that stays as it was reported."""
        names = payloads.zeros(before).keys() | payloads.zeros(now).keys()
        self._note(stored, {sign for name in names for sign in _moves(before.get(name), now.get(name))})

    def _note(self, stored: Activity, signs: Iterable[int]) -> None:
        owner = stored.customer
        for key in _keys(owner, stored.brand, owner.customer_id if owner else ""):
            self._moves[key] |= set(signs)

    def held(self, news: Iterable[Wanted]) -> Iterator[Wanted]:
        """Yield the new totals that are kept back: all totals of a customer, or none."""
        if not self._moves:
            return
        of_owner: dict[_Owner, list[Wanted]] = defaultdict(list)
        for wanted in news:
            keys = _keys(wanted.customer, wanted.key[0], wanted.customer_id)
            for key in keys & self._moves.keys():
                of_owner[key].append(wanted)
            if not keys & self._moves.keys() and _content(wanted.key[0], wanted.body) in self._gone:
                yield wanted
        yielded: set[tuple[str, ...]] = set()
        for owner, totals in of_owner.items():
            if any(-sign in self._moves[owner] for wanted in totals for sign in _signs(wanted.body)):
                yield from (wanted for wanted in totals if wanted.key not in yielded)
                yielded |= {wanted.key for wanted in totals}


def refusal(brand: str) -> PayloadError:
    """Return why a total is kept back, and what to do."""
    message = (
        "it may contain amounts reported under another id that can't be corrected there: both would be paid."
    )
    if conf.for_brand(brand).CORRECTIONS == "flag":
        message += (
            " Set TRACK360['CORRECTIONS'] to \"resend\" if that is agreed with Track360, or keep the old grouping in "
            "rows()."
        )
    return PayloadError(message, reason="regrouped")


def _keys(owner: Any, brand: str, customer_id: str) -> set[_Owner]:
    if isinstance(owner, Customer):
        user_pk = owner.user_pk
    else:
        user_pk = str(owner.pk) if isinstance(owner, Model) else ""
    users = {("user", user_pk)} if user_pk else set()
    return {("customer", brand, customer_id), *users}


def _content(brand: str, body: str) -> tuple[str, ...]:
    """Return the content of a record without its customer and its id."""
    record = json.loads(body)
    for name in ("eventid", "customerid"):
        record.pop(name, None)
    return brand, json.dumps(record, sort_keys=True)


def _moves(before: Any, now: Any) -> Iterable[int]:
    first, second = (Decimal(value) if payloads.is_number(value) else Decimal(0) for value in (before, now))
    if first == second:
        return ()
    is_growing = first == 0 or (first > 0) == (second > first)
    return (_sign(second - first),) if is_growing else _BOTH


def _signs(body: str) -> set[int]:
    record = json.loads(body)
    return {_sign(Decimal(record[name])) for name in payloads.zeros(record)}


def _sign(number: Decimal) -> int:
    return (number > 0) - (number < 0)


def names_per_event() -> frozenset[str]:
    """Return the event names that rows of models are reported under, those of their reversals included."""
    declared = declarations()
    told = {reversals.eventname_of(each) for each in declared if isinstance(each.on_reverse, str)}
    return frozenset(told | {each.eventname for each in declared})
