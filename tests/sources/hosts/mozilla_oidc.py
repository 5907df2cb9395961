"""mozilla-django-oidc, with the mixin of `contrib` in its backend."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.urls import include, path

from tests.sources.host import Row, Story, rows
from tests.sources.identity_provider import CLIENT_ID, CLIENT_SECRET, Person
from tests.sources.social import APP, BEHIND_TLS, OURS, SocialHost, browser_at, land, provider
from tests.sources.visitor import Visitor


def username_of(email: str, claims: Any) -> str:
    """Return the name that the provider knows somebody by."""
    name: str = claims["preferred_username"]
    return name


class Site(SocialHost):
    """mozilla-django-oidc as its documentation has it."""

    apps = ("mozilla_django_oidc",)

    login_path = "/oidc/authenticate/"

    def configuration(self) -> Mapping[str, Any]:
        """Return what the package's documentation asks for, and the backend with the mixin."""
        return {
            **BEHIND_TLS,
            "AUTHENTICATION_BACKENDS": ["tests.sources.hosts.mozilla_oidc_views.Backend"],
            "OIDC_RP_CLIENT_ID": CLIENT_ID,
            "OIDC_RP_CLIENT_SECRET": CLIENT_SECRET,
            "OIDC_RP_SIGN_ALGO": "RS256",
            "OIDC_OP_AUTHORIZATION_ENDPOINT": f"{provider().url}/authorize",
            "OIDC_OP_TOKEN_ENDPOINT": f"{provider().url}/token",
            "OIDC_OP_USER_ENDPOINT": f"{provider().url}/userinfo",
            "OIDC_OP_JWKS_ENDPOINT": f"{provider().url}/jwks",
            "OIDC_USE_PKCE": True,
            "OIDC_USERNAME_ALGO": "tests.sources.hosts.mozilla_oidc.username_of",
            "OIDC_CALLBACK_CLASS": "tests.sources.hosts.mozilla_oidc_views.Callback",
        }

    def urls(self) -> list[Any]:
        """Return the package's."""
        return [*super().urls(), path("oidc/", include("mozilla_django_oidc.urls"))]

    def go(self, visitor: Visitor) -> None:
        """Follow the link."""
        visitor.get(self.login_path)

    def stories(self) -> dict[str, Story]:
        """Return the story of a provider that comes back by a POST of its own site, too."""
        return super().stories() | {"form_post_by_get": self.tell_form_post_by_get}

    def tell_form_post_by_get(self, url: str, name: str) -> list[Row]:
        """Come back by the view of the how-to: the package itself takes no POST at all."""
        provider().person = Person(name)
        with browser_at(url, OIDC_AUTH_REQUEST_EXTRA_PARAMS={"response_mode": "form_post"}) as browser:
            land(browser)
            page = browser.visit(f"{APP}{self.login_path}", from_site=OURS)
            assert page.url.startswith(provider().url), page
            assert browser.submit(page).url == f"{APP}/"
        return rows()
