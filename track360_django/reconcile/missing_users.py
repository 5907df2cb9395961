"""Users who joined and are customers of no brand: their signup was not noticed, or could not be recorded."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from django.contrib.auth import get_user_model
from django.core.exceptions import ImproperlyConfigured
from django.db.models import DateTimeField
from django.utils import timezone

from track360_django import conf
from track360_django.activities.declarations import ledger
from track360_django.customers import brands
from track360_django.db import pages
from track360_django.outbox import aliases
from track360_django.users.eligibility import why_not_customers
from track360_django.users.lookup import all_users
from track360_django.users.mapping import REGTIME, customer_id_of

PAGE: Final = 1000
# The primary keys of this many users are listed; the other users are counted.
NAMED: Final = 5


@dataclass(kw_only=True)
class Unreported:
    """How many users are not customers, and the primary keys of the first few."""

    count: int = 0
    pks: list[str] = field(default_factory=list)

    def add(self, user: Any) -> None:
        """Count a user."""
        self.count += 1
        if len(self.pks) < NAMED:
            self.pks.append(str(user.pk))


def find(since: datetime, until: datetime | None = None) -> Unreported:
    """
    Return the users who joined in this time and are customers of no brand, without staff, guests and inactive users.

    One page of users is in memory at a time, and each page costs a few queries. No users are looked for if
    `SIGNUP_SOURCES` is empty, because then signups are not detected automatically, or if no column of the user has the
    time of joining.
    """
    found = Unreported()
    if conf.settings.SIGNUP_SOURCES and conf.brands_on():
        for page in _pages(since, until):
            for user in _unknown_among(page):
                found.add(user)
    return found


def _pages(since: datetime, until: datetime | None) -> Iterator[list[Any]]:
    path = conf.for_brand(conf.brands()[0]).CUSTOMER_FIELDS.get(REGTIME, "date_joined")
    column = ledger.column_of(get_user_model(), path) if isinstance(path, str) and path else None
    if not isinstance(column, DateTimeField):
        return
    name = str(path).replace(".", "__")
    rows = all_users().filter(**{f"{name}__gte": _as_kept(since)})
    if until is not None:
        rows = rows.filter(**{f"{name}__lt": _as_kept(until)})
    yield from pages.by_key(rows, PAGE)


def _as_kept(moment: datetime) -> datetime:
    """Return a time as the host stores it: naive if the host uses no time zones."""
    return moment if conf.uses_zones() else timezone.make_naive(moment, timezone.get_default_timezone())


def _unknown_among(users: Collection[Any]) -> list[Any]:
    unknown = [user for user in users if getattr(user, "is_active", True)]
    unknown = _without(unknown, _known_by_pk(unknown))
    refused = why_not_customers(unknown, conf.brands()[0]) if unknown else {}
    unknown = _without(unknown, set(refused))
    return _without(unknown, _known_by_id(unknown))


def _without(users: Collection[Any], pks: Collection[str]) -> list[Any]:
    return [user for user in users if str(user.pk) not in pks]


def _known_by_pk(users: Collection[Any]) -> set[str]:
    known = brands.known_to(users, aliases.home())
    return {mark.text for mark in known if mark.column == "user_pk"}


def _known_by_id(users: Collection[Any]) -> set[str]:
    """Return the primary keys, as text, of the users who were reported by their customer ids."""
    ids = {str(user.pk): _ids_of(user) for user in users}
    known = brands.known_to({each for some in ids.values() for each in some}, aliases.home())
    texts = {mark.text for mark in known}
    return {pk for pk, some in ids.items() if texts & some}


def _ids_of(user: Any) -> set[str]:
    found: set[str] = set()
    for brand in conf.brands():
        try:
            found.add(customer_id_of(user, brand))
        except ImproperlyConfigured:
            # The user has no customer id at this brand, so the user is not a customer there.
            continue
    return found
