"""The bodies of records as text, for dry runs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator

from track360_django import customers
from track360_django.delivery import packing
from track360_django.exceptions import PayloadError
from track360_django.models import Customer, Status
from track360_django.users.lookup import users_of

# Called with a customer that can't be sent: the fields are invalid, or `BEFORE_SEND` refuses the record.
Refuse = Callable[[Customer, PayloadError], None]


def of_customers(rows: Iterable[Customer], *, refuse: Refuse) -> Iterator[str]:
    """
    Yield the JSON text of customers, brand by brand, built from the present data of their users.

    Args:
        rows: The customers.
        refuse: Called for each customer that would become a dead record. The others are shown.
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
    Users who are registered with their first activity. A dry run shows each of them once.

    A real run writes a row with the first activity and finds it with the next one. A dry run writes nothing, so this
    object remembers the users.
    """

    def __init__(self) -> None:
        self._shown: set[tuple[str, str]] = set()

    def note(self, rows: Iterable[Customer]) -> Iterator[Customer]:
        """Yield the same rows, and remember their users as shown."""
        for row in rows:
            if row.user_pk:
                self._shown.add((row.brand, row.customer_id))
            yield row

    def of(self, customer_ids: Collection[str], brand: str, *, using: str, refuse: Refuse) -> Iterator[str]:
        """Yield the JSON text of the customers that have no row yet, would get one, and were not shown before."""
        unseen = [each for each in customer_ids if (brand, each) not in self._shown]
        known = customers.find_many({each: each for each in unseen}, brand, using=using)
        missing = [each for each in unseen if each not in known]
        rows = customers.placeholders(missing, brand, using=using)
        reported = self.note(row for row in rows if row.status != Status.HELD)
        yield from of_customers(reported, refuse=refuse)
