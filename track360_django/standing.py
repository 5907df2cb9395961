"""
What installed auth packages know of users beside `is_active`: who is a guest, and whom nobody has verified yet.

Packages are found by the full path of their module, for labels collide. One that can't be asked knows nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from django.apps import apps
from django.db import router
from django.db.models import Model, QuerySet

logger = logging.getLogger(__name__)

# The primary keys of some users.
Pks = set[Any]
# Some of these users.
Ask = Callable[[Collection[Any]], Pks]
# What asks a package, None when it has nothing to say.
Question = Callable[[], Ask | None]


def guests_among(users: Collection[Any]) -> Pks:
    """Return those users who are guests: a package made them up for a visitor who has not signed up yet."""
    return _asked(_GUESTS, users)


def unverified_among(users: Collection[Any]) -> Pks:
    """Return those users who have still to confirm an address, where their package lets nobody in before."""
    return _asked(_UNVERIFIED, users)


def _asked(packages: Mapping[str, Question], users: Collection[Any]) -> Pks:
    found: Pks = set()
    for app, question in packages.items():
        if users and apps.is_installed(app):
            ask = _ready(app, question)
            found |= ask(users) if ask is not None else set()
    return found


def _ready(app: str, question: Question) -> Ask | None:
    """Return what asks a package, None for one that has nothing to say, or is built otherwise than it was."""
    try:
        return question()
    except Exception as error:  # noqa: BLE001  whatever is wrong with the package, it costs nobody a signup
        logger.warning(
            "track360: %s can't be asked whom it has verified (%s): its users count as verified.",
            app,
            type(error).__name__,
        )
        return None


def _guest_user() -> Ask:
    from guest_user.functions import get_guest_model  # noqa: PLC0415  there only where it is installed

    guests = get_guest_model()
    return lambda users: set(_rows(guests, users).values_list("user_id", flat=True))


def _allauth() -> Ask | None:
    from allauth.account import app_settings  # noqa: PLC0415  there only where it is installed
    from allauth.account.models import EmailAddress  # noqa: PLC0415

    if app_settings.EMAIL_VERIFICATION != "mandatory":
        return None

    def ask(users: Collection[Any]) -> Pks:
        addresses = list(_rows(EmailAddress, users).values_list("user_id", "verified"))
        # Who has no address at all was never asked to confirm one.
        return {pk for pk, _ in addresses} - {pk for pk, is_verified in addresses if is_verified}

    return ask


def _gqlauth() -> Ask | None:
    from gqlauth.core.utils import app_settings  # noqa: PLC0415  there only where it is installed
    from gqlauth.models import UserStatus  # noqa: PLC0415

    return None if app_settings.ALLOW_LOGIN_NOT_VERIFIED else _by_status(UserStatus)


def _graphql_auth() -> Ask | None:
    from graphql_auth.models import UserStatus  # noqa: PLC0415  there only where it is installed
    from graphql_auth.settings import graphql_auth_settings  # noqa: PLC0415

    return None if graphql_auth_settings.ALLOW_LOGIN_NOT_VERIFIED else _by_status(UserStatus)


def _by_status(model: type[Model]) -> Ask:
    return lambda users: set(_rows(model, users).filter(verified=False).values_list("user_id", flat=True))


def _rest_registration() -> Ask | None:
    from rest_registration.settings import registration_settings  # noqa: PLC0415  there only where it is installed

    flag = registration_settings.USER_VERIFICATION_FLAG_FIELD
    if not registration_settings.REGISTER_VERIFICATION_ENABLED or flag == "is_active":
        return None
    return lambda users: {user.pk for user in users if not getattr(user, flag, True)}


def _rows(model: type[Model], users: Collection[Any]) -> QuerySet[Any]:
    """Return the rows of some users, from where they are written: a replica lags behind."""
    rows = model._base_manager.using(router.db_for_write(model))
    return rows.filter(user_id__in=[user.pk for user in users])


_GUESTS: Final[Mapping[str, Question]] = {"guest_user": _guest_user}
_UNVERIFIED: Final[Mapping[str, Question]] = {
    "allauth.account": _allauth,
    "gqlauth": _gqlauth,
    "graphql_auth": _graphql_auth,
    "rest_registration": _rest_registration,
}
