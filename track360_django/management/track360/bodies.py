"""What is sent of some records, as text: shown by dry runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from track360_django import identity, parcels
from track360_django.models import Customer


def of_customers(rows: Iterable[Customer]) -> Iterator[str]:
    """
    Yield the JSON text of customers, built from their users as they are now; those of one brand together.

    Raises:
        PayloadError: One can't be reported exactly.
    """
    by_brand: dict[str, list[Customer]] = {}
    for row in rows:
        by_brand.setdefault(row.brand, []).append(row)
    for brand, of_brand in by_brand.items():
        users = identity.users_of(of_brand, brand)
        yield from (parcels.body_of(row, users.get(row.user_pk)) for row in of_brand)
