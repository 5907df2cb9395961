"""The user of a request: whether it is the visitor themselves, or a colleague who acts as somebody else."""

from __future__ import annotations

import logging
from typing import Any, Final

from django.utils.functional import LazyObject, empty

from track360_django.users import auth_packages
from track360_django.users.lookup import savepoint

logger = logging.getLogger(__name__)

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
    return visitor.pk == getattr(user, "pk", user) or bool(auth_packages.guests_among([visitor]))


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
            with savepoint():
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
