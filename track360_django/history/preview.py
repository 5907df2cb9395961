"""What is sent of some records, as text: shown by dry runs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator

from track360_django import customers
from track360_django.delivery import packing
from track360_django.exceptions import PayloadError
from track360_django.models import Customer, Status
from track360_django.users.lookup import users_of

# Told of a customer whose record can't be sent: its fields, or `BEFORE_SEND`, refuse it.
Refuse = Callable[[Customer, PayloadError], None]


def of_customers(rows: Iterable[Customer], *, refuse: Refuse) -> Iterator[str]:
    """
    Yield the JSON text of customers, built from their users as they are now; those of one brand together.

    Args:
        rows: The customers.
        refuse: Called for each one that would be a dead record; the others are shown.
    """
    by_brand: dict[str, list[Customer]] = {}
    for row in rows:
        by_brand.setdefault(row.brand, []).append(row)
    for brand, of_brand in by_brand.items():
        users = users_of(of_brand, brand)
        for row in of_brand:
            try:
                yield packing.body_of(row, users.get(row.user_pk))
            except PayloadError as error:
                refuse(row, error)


class Newcomers:
    """
    Users who are registered with their first activity, each shown once in a dry run.

    In earnest the first activity would leave a row for the next one to find; here they are remembered.
    """

    def __init__(self) -> None:
        self._shown: set[tuple[str, str]] = set()

    def note(self, rows: Iterable[Customer]) -> Iterator[Customer]:
        """Yield the same rows; users among them are shown."""
        for row in rows:
            if row.user_pk:
                self._shown.add((row.brand, row.customer_id))
            yield row

    def of(self, customer_ids: Collection[str], brand: str, *, using: str, refuse: Refuse) -> Iterator[str]:
        """Yield the JSON text of those who have no row yet, would get one, and were not shown before."""
        unseen = [each for each in customer_ids if (brand, each) not in self._shown]
        known = customers.find_many({each: each for each in unseen}, brand, using=using)
        missing = [each for each in unseen if each not in known]
        rows = customers.placeholders(missing, brand, using=using)
        reported = self.note(row for row in rows if row.status != Status.HELD)
        yield from of_customers(reported, refuse=refuse)
