"""A mixin for the authentication backend of mozilla-django-oidc, which sends no signal for a signup."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from track360_django import signup

if TYPE_CHECKING:
    from mozilla_django_oidc.auth import OIDCAuthenticationBackend
else:
    # A mixin needs the package for nothing but its types.
    OIDCAuthenticationBackend = object

SOURCE: Final = "oidc"


class TrackingBackendMixin(OIDCAuthenticationBackend):  # type: ignore[misc]  # comes without types
    """
    Reports users whom an OpenID Connect login creates as customers, with the touch that brought them.

    `class Backend(TrackingBackendMixin, OIDCAuthenticationBackend)`, named in `AUTHENTICATION_BACKENDS`. A `create_user`
    of your own belongs into that class or one below it, and calls `super()`. Staff are left out, and an error of ours
    never breaks the login.

    Source: none, our choice: API guide, "Customer API", When to call this endpoint, asks for new customers alone.
    """

    def create_user(self, claims: Mapping[str, Any]) -> Any:
        """Create a user, and report them."""
        user = super().create_user(claims)
        # Called for a bearer token, without `authenticate`, a backend has no request of its own.
        signup.announce(user, request=getattr(self, "request", None), source=SOURCE, is_login=True)
        return user
