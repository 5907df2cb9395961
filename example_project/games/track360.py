"""
What Track360 is told of the games: each customer's day, added up per product line and currency.

Bets are many and small, so they are not reported one by one. To report a KPI in both ways would count it twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any, Final

from django.contrib.auth.models import User
from django.db.models import BigIntegerField, Count, F, Model, QuerySet, Sum
from django.db.models.functions import Cast, Round

from example_project.cashier.models import Bonus
from example_project.cashier.money import DECIMAL_PLACES
from example_project.games.models import Bet
from track360_django import activities

Row = dict[str, Any]

# Note [Sums that are exact]
# SQLite keeps decimals as floats, and its SUM adds floats: a hundred bets of 0.10 come to 9.99999999999998. So what is
# summed are whole thousandths, which are integers on every database. On PostgreSQL or MySQL, `Sum("stake")` will do.
UNIT: Final = 10**DECIMAL_PLACES


@activities.register_daily
class CustomerDay(activities.DailyActivity):
    """
    What a customer brought the brand on a day: GGR is stakes minus wins, NGR is GGR minus bonuses.

    A bet counts on the day it was settled, a bonus on the day it was granted. What is taken back is taken from the day
    on which that happens, so that a day that is over stays as it is, however late a bet is voided. A result that comes
    late belongs to a day that is over: that day is told again, within the window.
    """

    eventname = "DailyStats"
    kpis = ("GGR", "NGR", "Bets", "Games")

    def rows(self, day: date) -> Iterator[Row]:
        """Yield what was settled, voided, granted and revoked; the rows of a customer's product are added up."""
        start, end = self.bounds(day)
        settled = Bet.objects.filter(settled_at__gte=start, settled_at__lt=end)
        voided = Bet.objects.filter(voided_at__gte=start, voided_at__lt=end, settled_at__isnull=False)
        granted = Bonus.objects.filter(granted_at__gte=start, granted_at__lt=end)
        revoked = Bonus.objects.filter(revoked_at__gte=start, revoked_at__lt=end)
        yield from of_bets(settled, sign=1)
        yield from of_bets(voided, sign=-1)
        yield from of_bonuses(granted, sign=-1)
        yield from of_bonuses(revoked, sign=1)


def of_bets(bets: QuerySet[Bet], sign: int) -> Iterator[Row]:
    """Yield what some bets brought, per customer, currency and product line."""
    for key, sums in added_up(bets, stakes=total("stake"), wins=total("win"), games=Count("pk")):
        stakes, wins = sign * amount(sums["stakes"]), sign * amount(sums["wins"])
        yield {
            **key,
            "GGR": stakes - wins,
            "NGR": stakes - wins,
            "Bets": stakes,
            "Games": sign * sums["games"],
        }


def of_bonuses(bonuses: QuerySet[Bonus], sign: int) -> Iterator[Row]:
    """Yield what some bonuses cost; each KPI is named, so that a day has all four even if nobody bet."""
    for key, sums in added_up(bonuses, amounts=total("amount")):
        yield {
            **key,
            "GGR": Decimal(0),
            "NGR": sign * amount(sums["amounts"]),
            "Bets": Decimal(0),
            "Games": 0,
        }


def added_up(rows: QuerySet[Any], **sums: Sum | Count) -> Iterator[tuple[Row, Row]]:
    """Add up in the database; yield what a group has in common, as a day's total names it, and its sums."""
    groups = list(rows.values("account__user", "account__currency", "product").annotate(**sums))
    users: dict[int, Model] = dict(User.objects.in_bulk({group["account__user"] for group in groups}))
    for group in groups:
        key = {
            "customer": users[group["account__user"]],
            "currency": group["account__currency"],
            "product": group["product"],
        }
        yield key, {name: group[name] for name in sums}


def total(column: str) -> Sum:
    """Return the sum of an amount's column, in thousandths (see Note [Sums that are exact])."""
    return Sum(Cast(Round(F(column) * UNIT), BigIntegerField()))


def amount(thousandths: int) -> Decimal:
    """Return a sum of thousandths as an amount."""
    return Decimal(thousandths) / UNIT
