"""Paths through related objects: where they lead, where they end, and what is fetched with them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from django.contrib.auth.models import User

from example_project.accounts.models import Profile
from example_project.cashier.models import Account, Deposit
from track360_django.db.paths import follow, relation_prefix, with_relations


@dataclass
class Row:
    """A row with what a path may meet."""

    name: str = "x"
    other: Any = None

    def shout(self) -> str:
        """Return the name in capitals."""
        return self.name.upper()


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("name", "x"),
        ("other__name", "y"),
        ("other.name", "y"),
        ("shout", "X"),
        ("other__shout", "Y"),
        ("other__other", None),
        ("other__other__name", None),
        (lambda row: row.name * 2, "xx"),
        (Row.shout, "X"),
    ],
    ids=["name", "two", "dots", "method", "method-behind", "none", "behind-none", "function", "unbound"],
)
def test_path_leads_to_a_value(path: str | Callable[[Any], Any], value: str | None) -> None:
    """A path follows attributes, calls the last one if it is a method, and ends in None at a gap."""
    assert follow(Row(other=Row(name="y")), path) == value


@pytest.mark.parametrize("path", ["nothing", "name__nothing", "other__nothing", ""])
def test_path_to_nothing_is_an_error(path: str) -> None:
    """A misspelt path raises instead of reporting nothing."""
    with pytest.raises(AttributeError):
        follow(Row(other=Row()), path)


@pytest.mark.django_db
def test_path_over_a_missing_related_object_ends_in_none() -> None:
    """A one-to-one object that isn't there is a gap, not an error."""
    assert follow(User.objects.create_user("alex"), "profile__country") is None


@pytest.mark.parametrize(
    ("model", "path", "prefix"),
    [
        (Deposit, "account__user", "account__user"),
        (Deposit, "account__user__username", "account__user"),
        (Deposit, "account.currency", "account"),
        (User, "profile__country", "profile"),
        (User, "accounts__currency", ""),
        (User, "groups", ""),
        (Deposit, "amount", ""),
        (Deposit, "nothing", ""),
        (Deposit, "get_method_display", ""),
        (Deposit, str, ""),
    ],
)
def test_relations_of_a_path_are_its_single_valued_beginning(
    model: type[Any], path: str | Callable[[Any], Any], prefix: str
) -> None:
    """What can be fetched with a row are the relations to one object at the beginning of a path."""
    assert relation_prefix(model, path) == prefix


@pytest.mark.django_db
def test_rows_come_with_the_relations_of_their_paths(django_assert_num_queries: Any) -> None:
    """Following the paths of a hundred rows costs one query."""
    users = [User(username=f"user-{number}") for number in range(100)]
    User.objects.bulk_create(users)
    stored = User.objects.order_by("pk")
    Profile.objects.bulk_create(Profile(user=user, country="MT") for user in stored)
    Account.objects.bulk_create(Account(user=user) for user in stored)

    with django_assert_num_queries(1):
        rows = with_relations(Account.objects.all(), ("user__profile__country", "currency", str))
        countries = [follow(row, "user__profile__country") for row in rows]

    assert countries == ["MT"] * 100
