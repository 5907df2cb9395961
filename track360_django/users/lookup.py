"""Users are found: by their id at Track360, behind customers, or all of them in pages. Read where they are written."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Any, Final

from django.contrib.auth import get_user_model
from django.core.exceptions import FieldDoesNotExist, FieldError, ValidationError
from django.db import router, transaction
from django.db.models import QuerySet

from track360_django import conf
from track360_django.db import pages
from track360_django.db.paths import follow, with_relations
from track360_django.models import Customer
from track360_django.users.mapping import field_paths

PAGE: Final = 1000


def find_user(customer_id: str, brand: str) -> Any | None:
    """Return the user who has an id at Track360, where `CUSTOMER_ID` is a column of the user; else None."""
    path = conf.for_brand(brand).CUSTOMER_ID
    if not isinstance(path, str):
        return None
    try:
        user = all_users().filter(**{path.replace(".", "__"): customer_id}).first()
    except (FieldDoesNotExist, FieldError, ValidationError, ValueError, TypeError):
        return None
    # MySQL finds "alex" for "ALEX", who may be somebody else at Track360.
    return user if user is not None and str(follow(user, path)) == customer_id else None


def find_users(customer_ids: Collection[str], brand: str) -> dict[str, Any]:
    """Return the users who have these ids at Track360, by id, in one query where `CUSTOMER_ID` is a column."""
    path = conf.for_brand(brand).CUSTOMER_ID
    if not isinstance(path, str):
        return {}
    wanted = [customer_id for customer_id in customer_ids if _may_be_in_column(customer_id, path)]
    try:
        rows = all_users().filter(**{f"{path.replace('.', '__')}__in": wanted})
        users = list(with_relations(rows, (path, *field_paths(brand).values()))) if wanted else []
    except (FieldDoesNotExist, FieldError, ValidationError, ValueError, TypeError, OverflowError):
        found = {customer_id: find_user(customer_id, brand) for customer_id in wanted}
    else:
        found = {str(follow(user, path)): user for user in users}
    return {name: user for name, user in found.items() if user is not None and name in customer_ids}


def _may_be_in_column(customer_id: str, path: str) -> bool:
    """Tell whether a column of the user can hold a text at all; True where only the database can tell."""
    try:
        column: Any = get_user_model()._meta.pk if path == "pk" else get_user_model()._meta.get_field(path)
        return column.to_python(customer_id) is not None
    except (FieldDoesNotExist, AttributeError):
        return True
    except ValidationError:
        return False


def user_of(customer: Customer, *, using: str | None = None) -> Any | None:
    """Return the user behind a customer, None when there is none (any more) where users are, or in a database of them."""
    users = all_users() if using is None else all_users().using(using)
    return users.filter(pk=customer.user_pk).first() if customer.user_pk else None


def users_of(customers: Iterable[Customer], brand: str) -> dict[str, Any]:
    """Return the users behind some customers by their primary key as text, in one query."""
    pks = [customer.user_pk for customer in customers if customer.user_pk]
    paths = tuple(field_paths(brand).values())
    users = with_relations(all_users().filter(pk__in=pks), paths) if pks else ()
    return {str(user.pk): user for user in users}


def all_users() -> QuerySet[Any]:
    """Return all users, whatever the host's default manager hides, from where they are written: a replica lags behind."""
    model = get_user_model()
    return model._base_manager.using(router.db_for_write(model))


def pages_of_users(brand: str) -> Iterator[list[Any]]:
    """Yield all users, a thousand at a time in the order of their keys, with what reporting them needs."""
    paths = (conf.for_brand(brand).CUSTOMER_ID, *field_paths(brand).values())
    yield from pages.by_key(with_relations(all_users(), tuple(path for path in paths if path)), PAGE)


def savepoint() -> Any:
    """Return what keeps a query that fails from ruining the host's transaction."""
    return transaction.atomic(using=router.db_for_write(get_user_model()))
