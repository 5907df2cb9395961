"""Users without a customer: they signed up before signups were reported."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from django.contrib.auth import get_user_model
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import OutputWrapper

from track360_django import customers
from track360_django.customers import Registration
from track360_django.exceptions import PayloadError
from track360_django.history import preview
from track360_django.history.backfill.work import Between, Counts
from track360_django.models import Customer, Status
from track360_django.outbox import aliases
from track360_django.users.eligibility import why_not_customers
from track360_django.users.lookup import all_users, pages_of_users
from track360_django.users.mapping import regtime_of

# The signup source of these users.
SOURCE: Final = "backfill"


class Users:
    """The users of the host, without those who are not customers (staff, for example)."""

    def __init__(self, brand: str, between: Between, newcomers: preview.Newcomers) -> None:
        self._brand = brand
        self._between = between
        self._newcomers = newcomers

    @property
    def name(self) -> str:
        """The name of the users in messages."""
        return "users"

    def count(self) -> int:
        """Return how many users there are."""
        return all_users().count()

    def pages(self) -> Iterator[list[Any]]:
        """Yield all users, page by page."""
        return pages_of_users(self._brand)

    def write(self, rows: Sequence[Any], notices: OutputWrapper) -> Counts:
        """Report the users without a customer. Their attribution is unknown."""
        chunk = _Chunk(self._brand, notices)
        wanted = chunk.unreported(rows, self._customer_test(rows))
        reported = customers.report_many(wanted, source=SOURCE, brand=self._brand, on_error=chunk.on_error)
        chunk.counts.reported = reported.new + reported.changed
        return chunk.counts

    def show(self, rows: Sequence[Any], out: OutputWrapper, notices: OutputWrapper) -> Counts:
        """Print the JSON of the users without a customer."""
        chunk = _Chunk(self._brand, notices)
        wanted = chunk.unreported(rows, self._customer_test(rows))
        found = customers.preview_many(wanted, source=SOURCE, brand=self._brand, on_error=chunk.on_error)
        for body in preview.of_customers(self._newcomers.note(found), refuse=chunk.refuse_row):
            out.write(body)
            chunk.counts.reported += 1
        return chunk.counts

    def _customer_test(self, users: Sequence[Any]) -> Callable[[Any], bool]:
        """Return a function that says whether a user is a customer. It queries auth packages once for all users."""
        refused = why_not_customers(users, self._brand)
        return lambda user: str(user.pk) not in refused and self._between.has(regtime_of(user, self._brand))


class _Chunk:
    """A chunk of users: selects those without a customer, and counts those who can't be reported."""

    def __init__(self, brand: str, notices: OutputWrapper) -> None:
        self.counts = Counts()
        self._brand = brand
        self._notices = notices

    def unreported(self, users: Sequence[Any], is_customer: Callable[[Any], bool]) -> list[Registration]:
        """Return the users without a customer."""
        self.counts.read = len(users)
        named = {user.pk: user for user in users if is_customer(user) and self._has_id(user)}
        using = aliases.home()
        rows = customers.find_many(named, self._brand, using=using)
        # On a host with several brands, each user is a customer of one brand only.
        others = Customer.objects.using(using).exclude(brand=self._brand)
        elsewhere = set(
            others.filter(user_pk__in=[str(pk) for pk in named]).values_list("user_pk", flat=True)
        )
        return [
            Registration(user=user)
            for pk, user in named.items()
            if str(pk) not in elsewhere and _is_open(rows.get(pk))
        ]

    def on_error(self, registration: Registration, error: PayloadError) -> None:
        """Name a user who can't be reported."""
        self._refuse(registration.user, error)

    def refuse_row(self, row: Customer, error: PayloadError) -> None:
        """Name a user with a record that can't be sent."""
        self._write(row.user_pk, error)

    def _has_id(self, user: Any) -> bool:
        try:
            customers.id_of(user, self._brand)
        except (PayloadError, ImproperlyConfigured) as error:
            self._refuse(user, error)
            return False
        return True

    def _refuse(self, user: Any, error: Exception) -> None:
        self._write(user.pk, error)

    def _write(self, pk: Any, error: Exception) -> None:
        self._notices.write(f"{get_user_model()._meta.label} {pk}: {error}", style_func=str)
        self.counts.refused += 1


def _is_open(customer: Customer | None) -> bool:
    """Return whether a user was never reported: there is no row, or a held row without a due time."""
    return customer is None or (customer.status == Status.HELD and customer.due_at is None)
