"""
What is known of users beside `is_active`: who is a guest, whom nobody has verified yet, and whose request it is.

Auth packages are found by the full path of their module, for labels collide. One that can't be asked knows nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from django.apps import apps
from django.contrib.auth import get_user_model
from django.db import router, transaction
from django.db.models import Model, QuerySet
from django.utils.functional import LazyObject, empty

logger = logging.getLogger(__name__)

# The primary keys of some users.
Pks = set[Any]
# Some of these users.
Ask = Callable[[Collection[Any]], Pks]
# What asks a package, None when it has nothing to say.
Question = Callable[[], Ask | None]

# What says in a session, or of its user, that somebody else uses it: django-hijack, django-loginas, django-impersonate.
HIJACKED_SESSION: Final = ("hijack_history", "loginas_from_user")
HIJACKED_USER: Final = ("is_hijacked", "is_impersonate")


def is_own(request: Any, user: Any = None) -> bool:
    """
    Tell whether a request is made by somebody themselves: nobody is logged in, or a guest is, or they are.

    Not theirs: what another person does who is logged in, and a session that a colleague has taken over. Who can't be
    read, since the store of the sessions is down, counts as nobody.
    """
    visitor = _visitor(request)
    if visitor is None:
        return True
    if _is_taken_over(request, visitor):
        return False
    return visitor.pk == getattr(user, "pk", user) or bool(guests_among([visitor]))


def is_hijacked(request: Any) -> bool:
    """Tell whether a colleague uses the session of somebody else."""
    visitor = _visitor(request)
    return visitor is not None and _is_taken_over(request, visitor)


def is_of_staff(request: Any) -> bool:
    """Tell whether a colleague makes a request, as themselves or as somebody else."""
    visitor = _visitor(request)
    if visitor is None:
        return False
    is_staff = getattr(visitor, "is_staff", False) or getattr(visitor, "is_superuser", False)
    return bool(is_staff) or _is_taken_over(request, visitor)


def _visitor(request: Any) -> Any | None:
    """Return who is logged in."""
    try:
        visitor = getattr(request, "user", None)
        if isinstance(visitor, LazyObject) and visitor._wrapped is empty:  # noqa: SLF001  Django says it nowhere else
            # To find out is a query.
            with _savepoint():
                return visitor if visitor.is_authenticated else None
        return visitor if getattr(visitor, "is_authenticated", False) else None
    except Exception as error:  # noqa: BLE001  whatever the store of the sessions raises, it costs nobody a signup
        logger.warning("track360: who is logged in can't be read (%s): nobody is.", type(error).__name__)
        return None


def _is_taken_over(request: Any, visitor: Any) -> bool:
    if any(getattr(visitor, name, False) for name in HIJACKED_USER):
        return True
    session = getattr(request, "session", None)
    try:
        return session is not None and any(session.get(name) for name in HIJACKED_SESSION)
    except Exception as error:  # noqa: BLE001  who is logged in by a token needs no session, which may be down
        logger.warning(
            "track360: a session can't be read (%s): nobody has taken it over.", type(error).__name__
        )
        return False


def _savepoint() -> Any:
    """Return what keeps a query that fails from ruining the host's transaction."""
    return transaction.atomic(using=router.db_for_write(get_user_model()))


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
            found |= _answer(app, question, users)
    return found


def _answer(app: str, question: Question, users: Collection[Any]) -> Pks:
    """Return what a package says; nobody for one that has nothing to say, or is built otherwise than it was."""
    try:
        ask = question()
        if ask is None:
            return set()
        with _savepoint():
            return ask(users)
    except Exception as error:  # noqa: BLE001  whatever is wrong with the package, it costs nobody a signup
        logger.warning(
            "track360: %s can't be asked whom it has verified, or made up (%s): its users count as verified, and as no "
            "guests.",
            app,
            type(error).__name__,
        )
        return set()


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
