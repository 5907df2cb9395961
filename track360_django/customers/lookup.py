"""Find the row of a customer by user or id, and register the customer if an activity comes before the report."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final, TypeVar

from django.db.models import Model

from track360_django import conf
from track360_django.customers.merge import PLACEHOLDER
from track360_django.customers.row import build, id_of
from track360_django.db import pages
from track360_django.models import Customer, Status
from track360_django.outbox import aliases
from track360_django.outbox.customers import add_customer, add_customers, read_customer, release_customer
from track360_django.users.eligibility import why_not_a_customer
from track360_django.users.lookup import find_user, find_users

# How many ids one query looks up: SQLite allows at most a thousand parameters.
FIND_BATCH: Final = 500
# The columns that a signup froze, or that were reported with it.
_SNAPSHOT: Final = ("tracking", "first_touch", "last_touch", "unattributed_reason", "regtime", "fields")
K = TypeVar("K")


def of(owner: Any, brand: str, *, using: str) -> Customer:
    """
    Return the row of the customer that an activity belongs to. A user who was never reported is registered now.

    `owner` is a user, a row of `Customer`, or a customer id as text. With `UNKNOWN_CUSTOMERS="hold"`, for staff, and for
    ids that no user has, the new row is held: the activities wait for `report`.
    """
    return find(owner, brand, using=using) or _register(owner, id_of(owner, brand), brand, using)


def find(owner: Any, brand: str, *, using: str) -> Customer | None:
    """Return the row of the customer that an activity belongs to, None if there is none yet."""
    return find_many({0: owner}, brand, using=using).get(0)


def exist(rows: Iterable[tuple[str, int]]) -> bool:
    """Return whether one of these rows (database, primary key) exists: a signup may be rolled back."""
    return any(Customer.objects.using(using).filter(pk=pk).exists() for using, pk in dict.fromkeys(rows))


def find_many(owners: Mapping[K, Any], brand: str, *, using: str) -> dict[K, Customer]:
    """Return the rows of some owners, under the keys of the owners. Owners without a row are left out."""
    # A row from another database has another primary key here.
    found = {
        key: owner
        for key, owner in owners.items()
        if isinstance(owner, Customer) and owner._state.db in {using, None}
    }
    ids = {key: id_of(owner, brand) for key, owner in owners.items() if key not in found}
    known = known_among(set(ids.values()), brand, using)
    return found | {key: known[customer_id] for key, customer_id in ids.items() if customer_id in known}


def known_among(customer_ids: Collection[str], brand: str, using: str, *deferred: str) -> dict[str, Customer]:
    """Return rows by customer id, without some columns that are expensive to read."""
    wanted = sorted(customer_ids)
    rows = Customer.objects.using(using).filter(brand=brand).defer(*deferred)
    return {
        row.customer_id: row
        for start in range(0, len(wanted), FIND_BATCH)
        for row in rows.filter(customer_id__in=wanted[start : start + FIND_BATCH])
    }


def of_many(customer_ids: Collection[str], brand: str, *, using: str) -> dict[str, Customer]:
    """Return the rows of some customer ids by id. Those that were never reported are registered, as in `of`."""
    found = known_among(customer_ids, brand, using, *_SNAPSHOT)
    missing = [customer_id for customer_id in customer_ids if customer_id not in found]
    if missing:
        add_customers(placeholders(missing, brand, using=using), using=using)
        found |= known_among(missing, brand, using)
        # Another transaction wrote these rows, and the older snapshot of this one does not show them.
        late = [customer_id for customer_id in missing if customer_id not in found]
        found |= {each: read_customer(brand, each, using=using) for each in late}
    return found


def placeholders(customer_ids: Collection[str], brand: str, *, using: str) -> list[Customer]:
    """Return the unsaved rows that `of_many` registers for ids that were never reported."""
    users = find_users(customer_ids, brand)
    return [_placeholder(users.get(each), each, brand, using) for each in customer_ids]


def _register(owner: Any, customer_id: str, brand: str, using: str) -> Customer:
    is_user = isinstance(owner, Model) and not isinstance(owner, Customer)
    user = owner if is_user else find_user(customer_id, brand)
    return add_customer(_placeholder(user, customer_id, brand, using), using=using)


def _placeholder(user: Any | None, customer_id: str, brand: str, using: str) -> Customer:
    """Return the unsaved row of a customer who was active before the report."""
    # Without the touches of today: the customer may have signed up long ago, and a click after the signup has no effect.
    customer = build(customer_id if user is None else user, brand, None, None, PLACEHOLDER, {})
    known = None if using == aliases.home() else find(customer_id, brand, using=aliases.home())
    if known is not None:
        # The signup is in another database than the reported row, and has the attribution.
        for name in _SNAPSHOT:
            setattr(customer, name, getattr(known, name))
    is_reported = known is not None and known.status != Status.HELD
    reason = None if is_reported else _why_held(user, brand)
    if reason:
        customer.status, customer.due_at, customer.reason = Status.HELD, None, reason
    return customer


def release_reported(*, using: str) -> int:
    """
    Release customers who are held in a database other than home, and were reported at home; return how many.

    Their signup came after their activities in that database.
    """
    held = Customer.objects.using(using).filter(status=Status.HELD, due_at=None)
    released = 0
    for page in pages.by_key(held.only("pk", "brand", "customer_id"), FIND_BATCH):
        for brand in {row.brand for row in page}:
            ids = {row.pk: row.customer_id for row in page if row.brand == brand}
            for pk, known in find_many(ids, brand, using=aliases.home()).items():
                if known.status != Status.HELD:
                    changes = {name: getattr(known, name) for name in _SNAPSHOT}
                    released += release_customer(pk, using=using, **changes)
    return released


def _why_held(user: Any | None, brand: str) -> str | None:
    if user is None:
        return "unknown_customer"
    if conf.for_brand(brand).UNKNOWN_CUSTOMERS == "hold":
        return "not_reported"
    return why_not_a_customer(user, brand)
