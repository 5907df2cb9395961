"""
What the host's own tables say had to arrive, each record with its numbers and the time it was committed.

It is worked out here once more, in the plainest way, and shares nothing with the declarations that are on trial.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final

from django.contrib.auth.models import User

from example_project.cashier import money
from example_project.cashier.models import Account, Bonus, Deposit, Withdrawal
from example_project.games.models import Bet

# The numbers and details that must be what the tables say.
DETAILS: Final = ("Value", "product", "GGR", "NGR", "Bets", "Games", "Currency")
DAILY: Final = "DailyStats"

# Event name, then what tells the record apart, then its numbers.
Key = tuple[str, ...]
Books = dict[Key, datetime]


def customers() -> dict[str, datetime]:
    """Map the customer ids of the host's own table to the time of their sign-up; staff are no customers."""
    users = User.objects.filter(is_staff=False).values_list("pk", "date_joined")
    return {str(pk): joined_at for pk, joined_at in users}


def activities(today: date) -> Books:
    """Map all that customers did to the time they did it; of their bets, what they come to on the days before today."""
    return {**_payments(), **_bonuses(), **_days(today)}


def key_of(record: Mapping[str, str]) -> Key:
    """Return what a record says that Track360 accepted; a day's total is known by its customer and its day."""
    is_total = record.get("eventname") == DAILY
    name = f"{record['customerid']} {record['createtime']}" if is_total else record.get("eventid", "")
    return _key(record.get("eventname", ""), name, record)


def _key(eventname: str, name: str, details: Mapping[str, str]) -> Key:
    return eventname, name, *(details.get(detail, "") for detail in DETAILS)


def _text(amount: Decimal, currency: str) -> str:
    return money.text(amount, currency).partition(" ")[0]


def _payments() -> Books:
    books: Books = {}
    for model, back, sign in ((Deposit, "Chargeback", 1), (Withdrawal, "Withdrawal", -1)):
        for payment in model._base_manager.filter(completed_at__isnull=False):
            moves = [
                (model.__name__, payment.reference, 1, payment.completed_at),
                (back, f"{payment.reference}-reversal", sign, payment.reversed_at),
            ]
            for eventname, name, factor, moved_at in moves:
                value = _text(factor * payment.amount, payment.currency)
                if moved_at:
                    books[_key(eventname, name, {"Value": value, "Currency": payment.currency})] = moved_at
    return books


def _bonuses() -> Books:
    books: Books = {}
    for bonus in Bonus.objects.select_related("account"):
        moves = (
            (bonus.reference, 1, bonus.granted_at),
            (f"{bonus.reference}-reversal", -1, bonus.revoked_at),
        )
        for name, sign, moved_at in moves:
            currency = bonus.account.currency
            details = {"Value": _text(sign * bonus.amount, currency), "product": bonus.product}
            if moved_at:
                books[_key("Bonus", name, {**details, "Currency": currency})] = moved_at
    return books


@dataclass
class _Total:
    """What one customer did on one day, of one product line and in one currency."""

    ggr: Decimal = Decimal(0)
    bonuses: Decimal = Decimal(0)
    stakes: Decimal = Decimal(0)
    games: int = 0
    moments: list[datetime] = field(default_factory=list)

    def details(self, product: str, currency: str) -> dict[str, str]:
        """Return the total as it is reported."""
        amounts = {"GGR": self.ggr, "NGR": self.ggr - self.bonuses, "Bets": self.stakes}
        texts = {name: _text(amount, currency) for name, amount in amounts.items()}
        return {**texts, "Games": str(self.games), "product": product, "Currency": currency}


def _days(today: date) -> Books:
    """Map each total of a day to when the last of it happened, or to when the customer signed up if that was later."""
    totals: dict[tuple[Any, ...], _Total] = defaultdict(_Total)
    for moved_at, account, product, ggr, bonus, stake, games in _moves():
        day = moved_at.astimezone(UTC).date()
        if day < today:
            total = totals[account.user, day, product, account.currency]
            total.ggr += ggr
            total.bonuses += bonus
            total.stakes += stake
            total.games += games
            total.moments.append(moved_at)
    return {
        _key(DAILY, f"{user.pk} {day}", total.details(product, currency)): max(
            user.date_joined, *total.moments
        )
        for (user, day, product, currency), total in totals.items()
        if total.ggr or total.bonuses or total.stakes or total.games
    }


_Move = tuple[datetime, Account, str, Decimal, Decimal, Decimal, int]


def _moves() -> Iterator[_Move]:
    """Yield what counts on some day: bets that were settled, and taken back; bonuses that were given, and taken back."""
    for bet in Bet.objects.filter(settled_at__isnull=False).select_related("account__user"):
        for sign, moved_at in ((1, bet.settled_at), (-1, bet.voided_at)):
            if moved_at:
                ggr = sign * (bet.stake - bet.win)
                yield moved_at, bet.account, bet.product, ggr, Decimal(0), sign * bet.stake, sign
    for bonus in Bonus.objects.select_related("account__user"):
        for sign, moved_at in ((1, bonus.granted_at), (-1, bonus.revoked_at)):
            if moved_at:
                yield moved_at, bonus.account, bonus.product, Decimal(0), sign * bonus.amount, Decimal(0), 0
