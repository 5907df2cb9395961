"""
Money that may count twice: totals that take the place of others, and KPIs that are reported per event, too.

A product that is added or corrected, another currency or customer id makes another total of the same money. Where the
first one can't be taken back, the second one would be paid beside it.
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
# Of one customer, and of one user, whose customer id may have changed.
_Owner = tuple[str, ...]


class Regrouping:
    """
    Knows what can only be flagged, and keeps back the new totals of the same customer that may hold the same money.

    A total that is gone, or has lost some of a number, may have gone into any new one of its customer. One that has
    grown has lost nothing, unless a new one is below zero where it grew, or the other way round.
    """

    def __init__(self) -> None:
        # In which direction numbers went.
        self._moves: dict[_Owner, set[int]] = defaultdict(set)
        # What was reported, but for whom, where all of it is gone.
        self._gone: set[tuple[str, ...]] = set()

    def note_gone(self, stored: Activity) -> None:
        """Note a total that no row names any more, and that stays as it was reported."""
        self._note(stored, _BOTH)
        if stored.body:
            self._gone.add(_content(stored.brand, stored.body))

    def note_change(self, stored: Activity, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
        """Note a total whose numbers have changed, and that stays as it was reported."""
        names = payloads.zeros(before).keys() | payloads.zeros(now).keys()
        self._note(stored, {sign for name in names for sign in _moves(before.get(name), now.get(name))})

    def _note(self, stored: Activity, signs: Iterable[int]) -> None:
        owner = stored.customer
        for key in _keys(owner, stored.brand, owner.customer_id if owner else ""):
            self._moves[key] |= set(signs)

    def held(self, news: Iterable[Wanted]) -> Iterator[Wanted]:
        """Yield which of the new totals are kept back: all of a customer, or none."""
        if not self._moves:
            return
        of_owner: dict[_Owner, list[Wanted]] = defaultdict(list)
        for wanted in news:
            keys = _keys(wanted.customer, wanted.key[0], wanted.customer_id)
            for key in keys & self._moves.keys():
                of_owner[key].append(wanted)
            if not keys & self._moves.keys() and _content(wanted.key[0], wanted.body) in self._gone:
                yield wanted
        told: set[tuple[str, ...]] = set()
        for owner, totals in of_owner.items():
            if any(-sign in self._moves[owner] for wanted in totals for sign in _signs(wanted.body)):
                yield from (wanted for wanted in totals if wanted.key not in told)
                told |= {wanted.key for wanted in totals}


def refusal(brand: str) -> PayloadError:
    """Return why a total is kept back, and what to do."""
    message = (
        "it may hold what was reported under another id, and can't be taken back there: both would be paid."
    )
    if conf.for_brand(brand).CORRECTIONS == "flag":
        message += " Set TRACK360['CORRECTIONS'] to \"resend\" if that is agreed with Track360, or keep the old grouping in rows()."
    return PayloadError(message, reason="regrouped")


def _keys(owner: Any, brand: str, customer_id: str) -> set[_Owner]:
    if isinstance(owner, Customer):
        user_pk = owner.user_pk
    else:
        user_pk = str(owner.pk) if isinstance(owner, Model) else ""
    users = {("user", user_pk)} if user_pk else set()
    return {("customer", brand, customer_id), *users}


def _content(brand: str, body: str) -> tuple[str, ...]:
    """Return what a record says, but for whose it is."""
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
