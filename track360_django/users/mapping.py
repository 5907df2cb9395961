"""The host's user, read as a customer: which id, which fields, and whether they are one at all."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import date, datetime
from typing import Any, Final

from django.contrib.auth import get_user_model
from django.core.exceptions import FieldDoesNotExist, FieldError, ImproperlyConfigured, ValidationError
from django.db import router
from django.db.models import QuerySet

from track360_django import conf
from track360_django.api import payloads
from track360_django.db.paths import PathOrFunction, follow, with_relations
from track360_django.exceptions import PayloadError
from track360_django.models import Customer
from track360_django.users import auth_packages

logger = logging.getLogger(__name__)

REGTIME = "regtime"
# Why somebody is not reported by themselves.
NO_USER: Final = "no_user"
STAFF: Final = "staff"
GUEST: Final = "guest"
INACTIVE: Final = "inactive"
UNVERIFIED: Final = "unverified"
# Of these, for whom time brings nothing, and who waits for their activation.
NEVER: Final = (NO_USER, STAFF, GUEST)
WAITING: Final = (INACTIVE, UNVERIFIED)
PAGE: Final = 1000


def customer_id_of(user: Any, brand: str) -> str:
    """
    Return the id that a user has at Track360, as `CUSTOMER_ID` says.

    Raises:
        ImproperlyConfigured: The setting leads to nothing for this user.

    Source: API guide, "Uniqueness": one id per brand, stable for the customer's lifetime.
    """
    path = conf.for_brand(brand).CUSTOMER_ID
    try:
        value = follow(user, path if path is not None else "pk")
    except AttributeError:
        value = None
    if value is None or value == "":
        msg = (
            "TRACK360['CUSTOMER_ID'] leads to nothing for a user: name a field that every user has when they sign up "
            "(API guide, Uniqueness)."
        )
        raise ImproperlyConfigured(msg)
    return str(value)


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
        users = list(with_relations(rows, (path, *_field_paths(brand).values()))) if wanted else []
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
    paths = tuple(_field_paths(brand).values())
    users = with_relations(all_users().filter(pk__in=pks), paths) if pks else ()
    return {str(user.pk): user for user in users}


def all_users() -> QuerySet[Any]:
    """Return all users, whatever the host's default manager hides, from where they are written: a replica lags behind."""
    model = get_user_model()
    return model._base_manager.using(router.db_for_write(model))


def pages_of_users(brand: str) -> Iterator[list[Any]]:
    """Yield all users, a thousand at a time in the order of their keys, with what reporting them needs."""
    paths = (conf.for_brand(brand).CUSTOMER_ID, *_field_paths(brand).values())
    rows = with_relations(all_users().order_by("pk"), tuple(path for path in paths if path))
    page = list(rows[:PAGE])
    while page:
        yield page
        page = list(rows.filter(pk__gt=page[-1].pk)[:PAGE])


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


def regtime_of(user: Any, brand: str) -> datetime | None:
    """Return when a user registered, None where the host doesn't know."""
    value = _read(user, REGTIME, _field_paths(brand).get(REGTIME))
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime.combine(value, datetime.min.time())
    return conf.aware(value) if isinstance(value, datetime) else None


def record_of(customer: Customer, user: Any | None) -> payloads.CustomerRecord:
    """Return a customer as the Customer API takes it, names and fields read from the user as they are now."""
    fields: dict[str, payloads.FieldValue] = {}
    if user is not None:
        fields = {
            name: conf.aware(_read(user, name, path))
            for name, path in _field_paths(customer.brand).items()
            if name != REGTIME
        }
    return payloads.CustomerRecord(
        customer_id=customer.customer_id,
        regtime=conf.aware(customer.regtime),
        tracking=customer.tracking,
        fields=_speakable(fields, customer.brand) | customer.fields,
    )


def _field_paths(brand: str) -> Mapping[str, PathOrFunction]:
    default = conf.default_of("CUSTOMER_FIELDS")
    paths = {**(default if isinstance(default, Mapping) else {}), **conf.for_brand(brand).CUSTOMER_FIELDS}
    return {name: path for name, path in paths.items() if path}


def _read(user: Any, name: str, path: PathOrFunction | None) -> Any:
    """Read one field of a user; a path that fails costs the field, never the attribution."""
    if path is None:
        return None
    try:
        return follow(user, path)
    except Exception as error:  # noqa: BLE001  the host's function may raise anything
        logger.warning(
            "track360: CUSTOMER_FIELDS[%r] raised %s; the customer is reported without the field.",
            name,
            type(error).__name__,
        )
        return None


def _speakable(fields: Mapping[str, payloads.FieldValue], brand: str) -> dict[str, payloads.FieldValue]:
    """Return the fields that can be reported; one that can't is left out, so that attribution is not lost with it."""
    zone = conf.time_zone(brand)
    spoken: dict[str, payloads.FieldValue] = {}
    for name, value in fields.items():
        try:
            payloads.CustomerRecord(customer_id="-", fields={name: value}).as_dict(zone)
        except PayloadError as error:
            logger.warning("track360: a customer is reported without %s: %s", name, error)
        else:
            spoken[name] = value
    return spoken
