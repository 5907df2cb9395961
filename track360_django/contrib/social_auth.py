"""A pipeline step for python-social-auth (social-auth-app-django), which sends no signal for a signup."""

from __future__ import annotations

from typing import Any, Final

from track360_django import signup

SOURCE: Final = "social_auth"


def report_customer(
    strategy: Any, backend: Any, *_: Any, user: Any = None, is_new: bool = False, **__: Any
) -> None:
    """
    Report a new user as a customer, with the touch that the user is credited to. Existing users are not affected.

    Put `"track360_django.contrib.social_auth.report_customer"` right after `"social_core.pipeline.user.create_user"`
    in `SOCIAL_AUTH_PIPELINE`. Staff are left out, and an error of this package never breaks the login.

    Args:
        strategy: As every step gets it; its `request` is the visitor's.
        backend: As every step gets it.
        user: The user that the earlier steps found or created.
        is_new: Whether the earlier steps created the user.

    Source: none, our choice: API guide, "Customer API", When to call this endpoint, asks for new customers only.
    """
    del backend
    if is_new:
        signup.announce(user, request=getattr(strategy, "request", None), source=SOURCE)
