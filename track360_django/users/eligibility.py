"""Which users are reported as customers, and why the others are not."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

from track360_django import conf
from track360_django.users import auth_packages

# Why somebody is not reported by themselves.
NO_USER: Final = "no_user"
STAFF: Final = "staff"
GUEST: Final = "guest"
INACTIVE: Final = "inactive"
UNVERIFIED: Final = "unverified"
# Of these, for whom time brings nothing, and who waits for their activation.
NEVER: Final = (NO_USER, STAFF, GUEST)
WAITING: Final = (INACTIVE, UNVERIFIED)


def why_not_a_customer(user: Any | None, brand: str) -> str | None:
    """
    Return why a user is not reported automatically, or None for a customer.

    "no_user"; "staff"; "guest"; and, with `REPORT_ON="activation"`, "inactive" and "unverified".

    Source: none, our choice: staff and superusers earn nobody a commission, guests have not signed up yet;
    `REPORT_ON="activation"` waits for `is_active` and, where a package lets nobody in before an address is confirmed,
    for that.
    """
    return NO_USER if user is None else why_not_customers([user], brand).get(str(user.pk))


def why_not_customers(users: Collection[Any], brand: str) -> dict[str, str]:
    """Return why some users are not reported automatically, by their primary key as text; customers are left out."""
    reasons = {user.pk: STAFF for user in users if _is_staff(user)}
    reasons = dict.fromkeys(auth_packages.guests_among(users), GUEST) | reasons
    if conf.for_brand(brand).REPORT_ON == "activation":
        inactive = {user.pk for user in users if not getattr(user, "is_active", True)}
        unverified = auth_packages.unverified_among([user for user in users if user.pk not in reasons])
        reasons = dict.fromkeys(unverified, UNVERIFIED) | dict.fromkeys(inactive, INACTIVE) | reasons
    return {str(pk): reason for pk, reason in reasons.items()}


def _is_staff(user: Any) -> bool:
    return bool(getattr(user, "is_staff", False) or getattr(user, "is_superuser", False))
