"""A declared day's total: what the host adds up per customer, which days are compiled, and when a day is over."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, ClassVar, TypeVar

from django.core.exceptions import ImproperlyConfigured

from track360_django import conf
from track360_django.activities import event_id

D = TypeVar("D", bound=type["DailyActivity"])

_declarations: list[DailyActivity] = []


class DailyActivity:
    """
    Says what each customer did on a day. Subclass it, write `rows`, and decorate the subclass with `register_daily`.

        eventname      the KPI, as agreed with Track360: "DailyStats"
        kpis           names of the fields that are numbers and are added up; (): every Decimal and int is a number
        window_days    for how many days a day is compiled again, for settlements that come late
        grace_minutes  how long after its end a day is first compiled, for transactions that commit late
        first_day      the first day to report, if earlier days were reported in another way
        source         the name that the records are stored under; default: the path of the class; keep it if you
                       rename the class
        brand          the brand of these totals, in a host with several brands; or each row has its `brand`

    Source: API guide, "DailyStats — multiple KPIs in a single object".
    """

    eventname: ClassVar[str] = ""
    kpis: ClassVar[Sequence[str]] = ()
    window_days: ClassVar[int] = 7
    grace_minutes: ClassVar[int] = 15
    first_day: ClassVar[date | None] = None
    source: ClassVar[str] = ""
    brand: ClassVar[str] = ""

    def rows(self, day: date) -> Iterable[Mapping[str, Any]]:
        """
        Return mappings with `customer`, `currency`, `product` (optional), and KPI names with a Decimal or an int.

        With several brands, a row may have its `brand`; default: the customer's brand.
        `customer` is a user, a `Customer`, or a customer id as text. `value` is the KPI that the API guide calls Value.
        Rows of the same customer, product and currency are added up.
        """
        raise NotImplementedError

    def bounds(self, day: date, brand: str = "") -> tuple[datetime, datetime]:
        """
        Return the first moment of a day and the first moment after it, in UTC: `start <= settled_at < end`.

        The day is a day in the agreed zone (`TIME_ZONE`). It is 23 or 25 hours long if the clocks change.

        Args:
            day: The date.
            brand: The brand that has the zone; needed only if brands have different zones.

        Raises:
            ImproperlyConfigured: The brands have different zones, and no brand was named.
        """
        # In UTC, because Python ignores clock changes when it computes with two times of the same zone.
        zone = conf.time_zone(brand or self.brand or _the_brand())
        following = day + timedelta(days=1)
        midnights = (datetime.combine(each, time.min, tzinfo=zone) for each in (day, following))
        start, end = (midnight.astimezone(UTC) for midnight in midnights)
        return start, end

    def label(self) -> str:
        """Return the name that identifies the declaration's records."""
        kind = type(self)
        return event_id.shorten(self.source or f"{kind.__module__}.{kind.__qualname__}", 100)

    def numbers(self) -> tuple[str, ...]:
        """Return the names in `kpis`, which may also be a single text."""
        return (self.kpis,) if isinstance(self.kpis, str) else tuple(self.kpis)

    def window(self, now: datetime) -> Iterator[date]:
        """Yield the days to compile at a time, oldest first: those of the window that are over in all zones."""
        last = last_day_over(now - timedelta(minutes=self.grace_minutes))
        for days in reversed(range(self.window_days)):
            day = last - timedelta(days=days)
            if self.first_day is None or day >= self.first_day:
                yield day

    @staticmethod
    def attributes() -> tuple[str, ...]:
        """Return the names of the attributes that a declaration may have."""
        return tuple(name for name in DailyActivity.__annotations__ if not name.startswith("_"))

    def unknown_attributes(self) -> list[str]:
        """Return the names of public attributes that have no meaning here; they are probably misspelt."""
        known = self.attributes()
        kinds = [
            kind
            for kind in type(self).__mro__
            if issubclass(kind, DailyActivity) and kind is not DailyActivity
        ]
        names = {name for kind in kinds for name, value in vars(kind).items() if not callable(value)}
        return sorted(name for name in names if not name.startswith("_") and name not in known)


def _the_brand() -> str:
    first, *others = conf.brands()
    if any(conf.time_zone(other) != conf.time_zone(first) for other in others):
        msg = (
            "The brands have different TIME_ZONEs, so a day begins and ends at different moments. Name the brand, as "
            "in bounds(day, brand), and query the customers of each brand separately."
        )
        raise ImproperlyConfigured(msg)
    return first


def last_day_over(now: datetime) -> date:
    """Return the last day that is over at a time, in the zones of all brands."""
    return min(now.astimezone(conf.time_zone(brand)).date() for brand in conf.brands()) - timedelta(days=1)


def register_daily(declaration: D) -> D:
    """
    Declare a day's total; a decorator.

    Source: none, our choice: works like `django.contrib.admin.register`.
    """
    _declarations.append(declaration())
    return declaration


def unregister_daily(declaration: type[DailyActivity]) -> None:
    """Remove a declaration, in a test or in a host that replaces the declaration of another app."""
    _declarations[:] = [item for item in _declarations if type(item) is not declaration]


def daily_declarations() -> tuple[DailyActivity, ...]:
    """Return all declarations of a day's total, in the order of their registration."""
    return tuple(_declarations)
