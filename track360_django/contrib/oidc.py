"""A mixin for the authentication backend of mozilla-django-oidc, which sends no signal for a signup."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from track360_django import signup

if TYPE_CHECKING:
    from mozilla_django_oidc.auth import OIDCAuthenticationBackend
else:
    # The mixin needs the package only for its types.
    OIDCAuthenticationBackend = object

SOURCE: Final = "oidc"


class TrackingBackendMixin(OIDCAuthenticationBackend):  # type: ignore[misc]  # comes without types
    """
    Reports users who are created by an OpenID Connect login as customers, with the touch that they are credited to.

    `class Backend(TrackingBackendMixin, OIDCAuthenticationBackend)`, named in `AUTHENTICATION_BACKENDS`. Write your own
    `create_user` in that class or in a subclass of it, and call `super()`. Staff are left out, and an error of this
    package never breaks the login.

    Source: none, our choice: API guide, "Customer API", When to call this endpoint, asks for new customers only.
    """

    def create_user(self, claims: Mapping[str, Any]) -> Any:
        """Create a user, and report the user."""
        user = super().create_user(claims)
        # For a bearer token, this is called without `authenticate`, and the backend has no request.
        signup.announce(user, request=getattr(self, "request", None), source=SOURCE, is_login=True)
        return user
