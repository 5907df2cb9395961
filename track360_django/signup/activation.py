"""
Customers who wait: recorded at the signup with its touches, released when the user is activated or verified.

Any person may activate a user, in any browser. So the request of an activation is never read, only the user.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from django.db import router
from django.db.models import QuerySet

from track360_django import conf, customers
from track360_django.db import pages
from track360_django.models import Customer, Status
from track360_django.outbox import aliases, wakeup
from track360_django.outbox.customers import release_customer
from track360_django.users.eligibility import WAITING, why_not_a_customer, why_not_customers
from track360_django.users.lookup import user_of, users_of

PAGE: Final = 1000


def is_activation_awaited() -> bool:
    """Return whether any brand reports customers at their activation. If not, saving a user costs only this check."""
    return any(conf.for_brand(brand).REPORT_ON == "activation" for brand in conf.brands_on())


def release_activated(user: Any) -> None:
    """Release the waiting customers of a user, at any brand, if the user is active now."""
    using = router.db_for_write(Customer)
    for waiting in _waiting(using).filter(user_pk=str(user.pk)):
        if why_not_a_customer(user, waiting.brand) is None:
            _release(waiting, using)


def release_unnoticed(*, is_dry_run: bool = False) -> int:
    """
    Release customers who were activated without a signal (`update()`, raw SQL, another program); return how many.

    Only one page of waiting customers is in memory at a time.
    """
    return sum(
        is_dry_run or _release(waiting, using)
        for using in aliases.all_known()
        for waiting in _activated_among_waiting(using)
    )


def _activated_among_waiting(using: str) -> Iterator[Customer]:
    for page in pages.by_key(_waiting(using), PAGE):
        for brand in {waiting.brand for waiting in page}:
            mine = [waiting for waiting in page if waiting.brand == brand]
            users = users_of(mine, brand)
            refused = why_not_customers(users.values(), brand)
            yield from (each for each in mine if each.user_pk in users and each.user_pk not in refused)


def _waiting(using: str) -> QuerySet[Customer]:
    # For a brand that is not configured any more, it is unknown what it waits for. A brand that is off gets no reports.
    rows = Customer.objects.using(using).filter(brand__in=conf.brands_on())
    return rows.filter(status=Status.HELD, reason__in=WAITING)


def hold_unserved(user: Any, reason: str, *, brand: str, source: str) -> None:
    """Create a held customer for a signup without a request, so without attribution."""
    using = router.db_for_write(Customer)
    waiting = customers.hold_unserved(user, reason, brand=brand, source=source, using=using)
    now = user_of(waiting, using=user._state.db)
    if why_not_a_customer(now, brand) is None:
        # They were activated meanwhile, by somebody who found nobody waiting.
        _release(waiting, using)


def _release(waiting: Customer, using: str) -> bool:
    is_released = release_customer(waiting.pk, using=using)
    if is_released:
        customers.tell_unattributed(waiting, None)
        wakeup.after_commit(using=using)
    return is_released
