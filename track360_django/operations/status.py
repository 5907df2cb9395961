"""
The state of delivery in numbers, brand by brand: for `track360 status` and for monitoring.

Reads tables only, in one pass over each. Ages are measured by the database's clock.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from django.db.models import Case, Count, DurationField, ExpressionWrapper, Min, Q, Value, When

from track360_django import conf
from track360_django.db.clock import Now
from track360_django.models import Activity, Customer, Endpoint, EndpointName, Status

# A record that is due for longer than this while its endpoint is open: no worker delivers.
LATE: Final = timedelta(minutes=5)
# A customer that is held for longer than this for want of a report: most likely no report will come.
FORGOTTEN: Final = timedelta(days=1)
UNREPORTED: Final = frozenset({"unknown_customer", "not_reported"})


@dataclass(frozen=True, kw_only=True)
class Records:
    """
    The records of one kind.

    `oldest_pending_seconds` is how long the oldest pending record has waited. `late` counts records that have been due
    for five minutes while their endpoint was open. `changed` counts records with a host's row that changed after it was
    recorded. `forgotten` counts customers that are held for want of a report, at least one of them for more than a day;
    their activities wait with them.
    """

    counts: Mapping[str, int] = field(default_factory=lambda: dict.fromkeys(Status.values, 0))
    oldest_pending_seconds: float | None = None
    dead_by_reason: Mapping[str, int] = field(default_factory=dict)
    held_by_reason: Mapping[str, int] = field(default_factory=dict)
    late: int = 0
    changed: int = 0
    forgotten: int = 0


@dataclass(frozen=True, kw_only=True)
class Breaker:
    """An endpoint that is not fully open: paused, or (`is_probing`) open for one record."""

    paused_until: datetime
    asked_at: datetime
    is_probing: bool
    reason: str
    error: str


@dataclass(frozen=True, kw_only=True)
class BrandStatus:
    """One brand. `is_delivered` is False if the brand is switched off or no longer configured."""

    brand: str
    is_delivered: bool
    customers: Records
    activities: Records
    endpoints: Mapping[str, Breaker]

    @property
    def is_of_before(self) -> bool:
        """Return whether these records are older than `BRANDS`, and `BRANDS` has no brand "default" for them."""
        is_gone = self.brand == conf.DEFAULT_BRAND and self.brand not in conf.brands()
        return is_gone and any(self.customers.counts.values())

    def problems(self) -> Iterator[str]:
        """Yield the problems that need a person, one text each; nothing if there is no problem."""
        if self.is_of_before:
            yield (
                f"{self.brand}: these customers were reported before TRACK360['BRANDS'] was set, and BRANDS does not have "
                "this brand. Nothing new is reported for them. Name their brand 'default' in TRACK360['BRANDS'], then "
                "requeue."
            )
        kinds = {EndpointName.CUSTOMERS: self.customers, EndpointName.ACTIVITIES: self.activities}
        for name, records in kinds.items():
            dead, late = records.counts[Status.DEAD], records.late
            if dead:
                yield f"{self.brand}: {name.value} dead: {dead}. Correct the cause, then requeue them."
            if breaker := self.endpoints.get(name):
                yield (
                    f"{self.brand}: the {name.value} endpoint is paused ({breaker.reason}). Correct the cause, then resume it."
                )
            if records.forgotten:
                yield (
                    f"{self.brand}: {name.value} held because they were never reported: {records.forgotten}. Report the "
                    "customers with track360_django.customers.report(). Their activities wait for it."
                )
            if late and self.is_delivered:
                yield (
                    f"{self.brand}: {name.value} due for more than five minutes: {late}. "
                    "Do the workers and the beat run?"
                )
            if late and not self.is_delivered:
                yield (
                    f"{self.brand}: {name.value} due for more than five minutes: {late}. This brand is not delivered: "
                    "it is switched off (ENABLED) or missing in TRACK360['BRANDS']."
                )


def read(*, using: str) -> tuple[BrandStatus, ...]:
    """Return the status of each brand: the configured ones in their order, then others that have records."""
    customers, activities = _read_records(Customer, using), _read_records(Activity, using)
    endpoints = _read_endpoints(using)
    configured = conf.brands()
    others = sorted({*customers, *activities}.difference(configured))
    return tuple(
        BrandStatus(
            brand=brand,
            is_delivered=brand in configured and conf.for_brand(brand).ENABLED,
            customers=customers.get(brand, Records()),
            activities=activities.get(brand, Records()),
            endpoints=_in_the_way(endpoints.get(brand, {}), customers.get(brand), activities.get(brand)),
        )
        for brand in (*configured, *others)
    )


def _read_records(model: type[Customer | Activity], using: str) -> dict[str, Records]:
    """Read one table in one pass: a row for each brand, state and reason."""
    groups: dict[str, list[dict[str, Any]]] = {}
    name = EndpointName.CUSTOMERS if model is Customer else EndpointName.ACTIVITIES
    paused = list(
        Endpoint.objects.using(using)
        .filter(name=name, paused_until__gt=Now())
        .values_list("brand", flat=True)
    )
    changed = Q(changed_at__isnull=False) if model is Activity else Q(pk=None)
    rows = (
        model._default_manager.using(using)
        .order_by()
        .values("brand", "status", "reason")
        .annotate(
            count=Count("pk"),
            age=ExpressionWrapper(Now() - Min("queued_at"), DurationField()),
            late=Count("pk", filter=Q(due_at__lt=Now() - Value(LATE)) & ~Q(brand__in=paused)),
            changed=Count("pk", filter=changed),
        )
    )
    for row in rows:
        groups.setdefault(row["brand"], []).append(dict(row))
    return {brand: _sum_up(group) for brand, group in groups.items()}


def _sum_up(group: list[dict[str, Any]]) -> Records:
    ages = [row["age"].total_seconds() for row in group if row["status"] == Status.PENDING]
    return Records(
        counts={
            status: sum(row["count"] for row in group if row["status"] == status) for status in Status.values
        },
        oldest_pending_seconds=max(0.0, *ages) if ages else None,
        dead_by_reason=_by_reason(group, Status.DEAD),
        held_by_reason=_by_reason(group, Status.HELD),
        late=sum(row["late"] for row in group),
        changed=sum(row["changed"] for row in group),
        forgotten=sum(
            row["count"]
            for row in group
            if row["status"] == Status.HELD and row["reason"] in UNREPORTED and row["age"] > FORGOTTEN
        ),
    )


def _by_reason(group: list[dict[str, Any]], status: Status) -> dict[str, int]:
    found = [row for row in group if row["status"] == status]
    return {
        row["reason"]: row["count"] for row in sorted(found, key=lambda row: (-row["count"], row["reason"]))
    }


def _read_endpoints(using: str) -> dict[str, dict[str, Breaker]]:
    is_probing = Case(When(paused_until__lte=Now(), then=Value(value=True)), default=Value(value=False))
    rows = (
        Endpoint.objects.using(using)
        .filter(paused_until__isnull=False)
        .annotate(is_probing=is_probing, asked_at=Now())
    )
    found: dict[str, dict[str, Breaker]] = {}
    for row in rows.order_by("brand", "name"):
        if row.paused_until is not None:
            breaker = Breaker(
                paused_until=row.paused_until,
                asked_at=row.asked_at,
                is_probing=row.is_probing,
                reason=row.reason,
                error=row.error,
            )
            found.setdefault(row.brand, {})[row.name] = breaker
    return found


def _in_the_way(
    endpoints: Mapping[str, Breaker], customers: Records | None, activities: Records | None
) -> dict[str, Breaker]:
    """Leave out an endpoint with a pause that is over and without pending records: it blocks nothing."""
    records = {EndpointName.CUSTOMERS: customers, EndpointName.ACTIVITIES: activities}
    kept: dict[str, Breaker] = {}
    for name, breaker in endpoints.items():
        waiting = records[EndpointName(name)]
        if not breaker.is_probing or (waiting is not None and waiting.counts[Status.PENDING]):
            kept[name] = breaker
    return kept
