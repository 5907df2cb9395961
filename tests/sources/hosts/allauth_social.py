"""django-allauth's social accounts in HTML: OpenID Connect, which comes back by a redirect, and Apple, by a form."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, ClassVar, Final

from django.http import HttpRequest, HttpResponse
from django.test import override_settings
from django.urls import include, path

from tests.sources.browser import Browser, Page
from tests.sources.host import VALUE, Row, Story, rows
from tests.sources.identity_provider import CLIENT_ID, CLIENT_SECRET, IdentityProvider, Person
from tests.sources.social import APP, BEHIND_TLS, OURS, WWW, SocialHost, browser_at, land, provider
from tests.sources.visitor import Visitor, succeed

LOGIN: Final = "/accounts/oidc/provider/login/"
FORM_POST: Final = {"response_mode": "form_post"}


@cache
def apple() -> IdentityProvider:
    """Return Apple, imitated: it answers with a form whenever it tells a name."""
    return IdentityProvider(issuer="https://appleid.apple.com")


def openid_connect() -> dict[str, Any]:
    """Return the provider as allauth's settings tell of it."""
    return {
        "provider_id": "provider",
        "name": "Provider",
        "client_id": CLIENT_ID,
        "secret": CLIENT_SECRET,
        "settings": {"server_url": provider().url},
    }


def carry(request: HttpRequest) -> HttpResponse:
    """Show the token that a link to another name of the brand would hold."""
    from track360_django import attribution

    return HttpResponse(attribution.carry(request))


def private_key() -> str:
    """Return a key as Apple gives it to a host."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    return (
        ec.generate_private_key(ec.SECP256R1())
        .private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        .decode()
    )


class Site(SocialHost):
    """django-allauth with two providers."""

    apps = (
        "allauth",
        "allauth.account",
        "allauth.socialaccount",
        "allauth.socialaccount.providers.openid_connect",
        "allauth.socialaccount.providers.apple",
    )
    middleware = ("allauth.account.middleware.AccountMiddleware",)

    login_path = LOGIN
    login_settings: ClassVar[dict[str, Any]] = {"SOCIALACCOUNT_LOGIN_ON_GET": True}

    def configuration(self) -> Mapping[str, Any]:
        """Return what the package's documentation asks for."""
        return {
            **BEHIND_TLS,
            "AUTHENTICATION_BACKENDS": ["allauth.account.auth_backends.AuthenticationBackend"],
            "ACCOUNT_EMAIL_VERIFICATION": "none",
            "ACCOUNT_RATE_LIMITS": False,
            "SOCIALACCOUNT_PROVIDERS": {
                "openid_connect": {"APPS": [openid_connect()], "OAUTH_PKCE_ENABLED": True},
                "apple": {
                    "APPS": [
                        {
                            "client_id": CLIENT_ID,
                            "secret": "KEYID",
                            "key": "MEMBERID",
                            "settings": {"certificate_key": private_key()},
                        }
                    ]
                },
            },
        }

    def urls(self) -> list[Any]:
        """Return allauth's, and lead its Apple to ours."""
        from allauth.socialaccount.providers.apple.views import AppleOAuth2Adapter

        AppleOAuth2Adapter.access_token_url = f"{apple().url}/token"
        AppleOAuth2Adapter.authorize_url = f"{apple().url}/authorize"
        AppleOAuth2Adapter.public_key_url = f"{apple().url}/jwks"
        return [
            *super().urls(),
            path("accounts/", include("allauth.urls")),
            path("carry/", carry),
        ]

    def go(self, visitor: Visitor) -> None:
        """Press the button."""
        succeed(visitor.submit(LOGIN, form="csrfmiddlewaretoken"))

    def stories(self) -> dict[str, Story]:
        """Return the stories of the form in between, of Apple, and of two names for one brand."""
        return super().stories() | {
            "signup_form": self.tell_signup_form,
            "form_post": self.tell_form_post,
            "form_post_unknown": self.tell_form_post_that_allauth_refuses,
            "form_post_cookie": self.tell_form_post_with_cookie_alone,
            "subdomain": self.tell_subdomain,
            "subdomain_cookie": self.tell_subdomain_with_its_cookie,
            "subdomain_token": self.tell_subdomain_with_a_token,
        }

    def tell_signup_form(self, url: str, name: str) -> list[Row]:
        """Come back to a form that asks for more, and fill it."""
        visitor = Visitor(url)
        visitor.land(VALUE)
        provider().person = Person(name)
        with override_settings(SOCIALACCOUNT_AUTO_SIGNUP=False):
            self.go(visitor)
            assert rows() == []
            fields = {"username": name, "email": f"{name}@people.test"}
            succeed(visitor.submit("/accounts/3rdparty/signup/", **fields))
        return rows()

    def tell_form_post(self, url: str, name: str) -> list[Row]:
        """Come back from Apple, whose form brings no cookie of the host's."""
        with browser_at(url) as browser:
            land(browser)
            _come_back_from_apple(browser, name)
        return rows()

    def tell_form_post_that_allauth_refuses(self, url: str, name: str) -> list[Row]:
        """Come back by a form from the other provider, which fails; then go the way of a redirect."""
        asked = {"APPS": [openid_connect()], "AUTH_PARAMS": FORM_POST}
        with browser_at(url) as browser:
            land(browser)
            provider().person = Person(name)
            with override_settings(SOCIALACCOUNT_PROVIDERS={"openid_connect": asked}):
                page = browser.submit(browser.visit(f"{APP}{LOGIN}", from_site=OURS))
            assert page.url.startswith(provider().url), page
            assert browser.submit(page).status == 403
            assert rows() == []
            _sign_up(browser, name)
        return rows()

    def tell_form_post_with_cookie_alone(self, url: str, name: str) -> list[Row]:
        """The same, with the touch in a cookie of its own."""
        with browser_at(url, track360={"STORAGE": ("cookie",)}) as browser:
            land(browser)
            _come_back_from_apple(browser, name)
        return rows()

    def tell_subdomain(self, url: str, name: str) -> list[Row]:
        """Land on one name of the brand, sign up on another."""
        with browser_at(url) as browser:
            land(browser, WWW)
            _sign_up(browser, name)
        return rows()

    def tell_subdomain_with_its_cookie(self, url: str, name: str) -> list[Row]:
        """The same, with a cookie for all names of the brand."""
        with browser_at(url, track360={"COOKIE_DOMAIN": OURS}) as browser:
            land(browser, WWW)
            assert browser.cookie("track360")
            _sign_up(browser, name)
            assert not browser.cookie("track360")
        return rows()

    def tell_subdomain_with_a_token(self, url: str, name: str) -> list[Row]:
        """The same, with a link from the one to the other that carries what the first remembers."""
        with browser_at(url) as browser:
            land(browser, WWW)
            page = browser.visit(f"{WWW}/carry/", from_site=OURS)
            assert browser.follow(page, f"{APP}/?t360={page.text}").status == 200
            _sign_up(browser, name)
        return rows()


def _sign_up(browser: Browser, name: str) -> Page:
    provider().person = Person(name)
    page = browser.submit(browser.visit(f"{APP}{LOGIN}", from_site=OURS))
    assert page.url == f"{APP}/", page
    return page


def _come_back_from_apple(browser: Browser, name: str) -> None:
    apple().person = Person(name)
    page = browser.submit(browser.visit(f"{APP}/accounts/apple/login/", from_site=OURS))
    assert page.url.startswith(apple().url), page
    back = browser.submit(page)
    assert back.way[0].startswith("POST"), back.way
    assert back.url == f"{APP}/", back
