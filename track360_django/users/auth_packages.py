"""
The auth packages that are known: their signals, and what they know of guests and unverified users.

A package is found by the full path of its module, for labels collide. One that can't be asked knows nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.apps import apps
from django.db import router
from django.db.models import Model, QuerySet

from track360_django import conf
from track360_django.users.lookup import savepoint

logger = logging.getLogger(__name__)

# The primary keys of some users.
Pks = set[Any]
# Some of these users.
Ask = Callable[[Collection[Any]], Pks]
# What asks a package, None when it has nothing to say.
Question = Callable[[], Ask | None]


@dataclass(frozen=True, kw_only=True)
class Package:
    """
    An auth package.

    `name` is what `SIGNUP_SOURCES` calls it, `app` its `AppConfig.name`: labels collide, that of pinax's `account` is the
    one of allauth's, too. `signups` and `activations` are the paths of its signals. `guests` and `unverified` ask it
    which users have not signed up yet, and which have still to confirm an address.
    """

    name: str
    app: str
    signups: tuple[str, ...]
    activations: tuple[str, ...] = ()
    guests: Question | None = None
    unverified: Question | None = None


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


# To add a package is to add its line here. Sources: the signal definitions in each package's own code, and where they
# are sent.
# dj-rest-auth registers through allauth. A name is what stands in INSTALLED_APPS, without the package's own apps.
PACKAGES: Final = (
    Package(
        name="allauth",
        app="allauth.account",
        signups=("allauth.account.signals.user_signed_up",),
        activations=("allauth.account.signals.email_confirmed",),
        unverified=_allauth,
    ),
    Package(
        name="djoser",
        app="djoser",
        signups=("djoser.signals.user_registered",),
        activations=("djoser.signals.user_activated",),
    ),
    Package(
        name="django_registration",
        app="django_registration",
        signups=("django_registration.signals.user_registered",),
        activations=("django_registration.signals.user_activated",),
    ),
    # django-registration-redux.
    Package(
        name="registration",
        app="registration",
        signups=("registration.signals.user_registered",),
        activations=("registration.signals.user_activated", "registration.signals.user_approved"),
    ),
    Package(
        name="rest_registration",
        app="rest_registration",
        signups=("rest_registration.signals.user_registered",),
        activations=("rest_registration.signals.user_activated",),
        unverified=_rest_registration,
    ),
    # Shops fork the app `oscar.apps.customer` under a name of their own; its signal stays.
    Package(name="oscar", app="oscar", signups=("oscar.apps.customer.signals.user_registered",)),
    # A guest is no customer, so `guest_created` announces nothing.
    Package(
        name="guest_user", app="guest_user", signups=("guest_user.signals.converted",), guests=_guest_user
    ),
    Package(
        name="guest_user",
        app="guest_user.contrib.allauth",
        signups=("guest_user.contrib.allauth.signals.converted_social_account",),
    ),
    # django-user-accounts.
    Package(
        name="account",
        app="account",
        signups=("account.signals.user_signed_up",),
        activations=("account.signals.email_confirmed",),
    ),
    Package(
        name="graphql_auth",
        app="graphql_auth",
        signups=("graphql_auth.signals.user_registered",),
        activations=("graphql_auth.signals.user_verified",),
        unverified=_graphql_auth,
    ),
    # strawberry-django-auth.
    Package(
        name="gqlauth",
        app="gqlauth",
        signups=("gqlauth.user.signals.user_registered",),
        activations=("gqlauth.user.signals.user_verified",),
        unverified=_gqlauth,
    ),
)

# What `SIGNUP_SOURCES` may name. The signal `customer_signed_up` is always heard: only a host sends it.
NAMES: Final = ("auth", *dict.fromkeys(package.name for package in PACKAGES))


def is_wanted(name: str) -> bool:
    """Tell whether `SIGNUP_SOURCES` has a source."""
    wanted = conf.settings.SIGNUP_SOURCES
    if isinstance(wanted, str):
        return wanted in ("auto", name)
    return name in wanted


def installed() -> Iterator[Package]:
    """Yield the packages that the host has installed and wants as signup sources."""
    for package in PACKAGES:
        if is_wanted(package.name) and apps.is_installed(package.app):
            yield package


def guests_among(users: Collection[Any]) -> Pks:
    """Return those users who are guests: a package made them up for a visitor who has not signed up yet."""
    return _found({package.app: package.guests for package in PACKAGES}, users)


def unverified_among(users: Collection[Any]) -> Pks:
    """Return those users who have still to confirm an address, where their package lets nobody in before."""
    return _found({package.app: package.unverified for package in PACKAGES}, users)


def _found(questions: Mapping[str, Question | None], users: Collection[Any]) -> Pks:
    """Return what the installed packages say, whether they are wanted as signup sources or not."""
    found: Pks = set()
    for app, question in questions.items():
        if question is not None and users and apps.is_installed(app):
            found |= _answer(app, question, users)
    return found


def _answer(app: str, question: Question, users: Collection[Any]) -> Pks:
    """Return what a package says; nobody for one that has nothing to say, or is built otherwise than it was."""
    try:
        ask = question()
        if ask is None:
            return set()
        with savepoint():
            return ask(users)
    except Exception as error:  # noqa: BLE001  whatever is wrong with the package, it costs nobody a signup
        logger.warning(
            "track360: %s can't be asked whom it has verified, or made up (%s): its users count as verified, and as no "
            "guests.",
            app,
            type(error).__name__,
        )
        return set()
