"""django-allauth without pages: its API for browsers, and its API for apps, which keep no cookies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.urls import include, path

from tests.sources.host import OTHER_VALUE, PASSWORD, VALUE, Host, Row, Story, rows
from tests.sources.hosts.allauth_social import openid_connect
from tests.sources.identity_provider import CLIENT_ID, Person
from tests.sources.social import provider, rows_in_full
from tests.sources.visitor import Visitor, succeed

HEADER = "X-Track360-Tracking"


class Site(Host):
    """django-allauth with `allauth.headless` for both kinds of clients."""

    apps = (
        "allauth",
        "allauth.account",
        "allauth.socialaccount",
        "allauth.socialaccount.providers.openid_connect",
        "allauth.headless",
    )
    middleware = ("allauth.account.middleware.AccountMiddleware",)
    is_api = True

    def configuration(self) -> Mapping[str, Any]:
        """Return what the package's documentation asks for."""
        return {
            "AUTHENTICATION_BACKENDS": ["allauth.account.auth_backends.AuthenticationBackend"],
            "ACCOUNT_EMAIL_VERIFICATION": "none",
            "ACCOUNT_RATE_LIMITS": False,
            "HEADLESS_ONLY": True,
            "HEADLESS_FRONTEND_URLS": {"account_signup": "/", "socialaccount_login_error": "/"},
            "SOCIALACCOUNT_PROVIDERS": {"openid_connect": {"APPS": [openid_connect()]}},
        }

    def urls(self) -> list[Any]:
        """Return allauth's: headless alone, the way back from a provider is a page all the same."""
        return [
            path("accounts/", include("allauth.urls")),
            path("_allauth/", include("allauth.headless.urls")),
        ]

    def sign_up(self, visitor: Visitor, name: str) -> None:
        """Sign up as a single-page application does."""
        succeed(_call(visitor, "auth/signup", _form(name)))

    def refuse(self, visitor: Visitor, name: str) -> None:
        """Leave the password out."""
        assert _call(visitor, "auth/signup", {"username": name}).status_code == 400

    def stories(self) -> dict[str, Story]:
        """Return the stories of an app, and of accounts that people have elsewhere."""
        return super().stories() | {
            "social": self.tell_social,
            "app_header": self.tell_app_with_header,
            "app_body": self.tell_app_with_body,
            "app_alone": self.tell_app_alone,
            "app_token": self.tell_app_with_token,
            "app_second_login": self.tell_second_login_of_app,
        }

    def tell_social(self, url: str, name: str) -> list[Row]:
        """Go to the provider from a single-page application, and come back."""
        visitor = Visitor(url)
        visitor.land(VALUE)
        visitor.get("/_allauth/browser/v1/config")
        provider().person = Person(name)
        form = {"provider": "provider", "process": "login", "callback_url": f"{url}/games/"}
        token = {"csrfmiddlewaretoken": visitor.session.cookies["csrftoken"]}
        address = f"{url}/_allauth/browser/v1/auth/provider/redirect"
        assert succeed(visitor.session.post(address, data=form | token, timeout=30)).url == f"{url}/games/"
        return rows()

    def tell_app_with_header(self, url: str, name: str) -> list[Row]:
        """Sign up as an app, whose session the package makes anew, with the value in a header."""
        app = Visitor(url, headers={HEADER: VALUE})
        succeed(app.post("/_allauth/app/v1/auth/signup", _form(name)))
        return rows()

    def tell_app_with_body(self, url: str, name: str) -> list[Row]:
        """The same, with the value beside the fields of the package."""
        body = _form(name) | {"tracking_data": VALUE}
        succeed(Visitor(url).post("/_allauth/app/v1/auth/signup", body))
        return rows()

    def tell_app_alone(self, url: str, name: str) -> list[Row]:
        """Sign up as an app that was opened with nothing."""
        succeed(Visitor(url).post("/_allauth/app/v1/auth/signup", _form(name)))
        return rows()

    def tell_app_with_token(self, url: str, name: str) -> list[Row]:
        """Sign up with what the provider's own SDK gave the app."""
        _log_in_by_token(Visitor(url, headers={HEADER: VALUE}), name)
        return rows()

    def tell_second_login_of_app(self, url: str, name: str) -> list[Row]:
        """Log in again, opened by another link."""
        _log_in_by_token(Visitor(url, headers={HEADER: VALUE}), name)
        before = rows_in_full()
        _log_in_by_token(Visitor(url, headers={HEADER: OTHER_VALUE}), name)
        return [*before, *rows_in_full()]


def _form(name: str) -> dict[str, str]:
    return {"username": name, "email": f"{name}@people.test", "password": PASSWORD}


def _call(visitor: Visitor, path: str, body: dict[str, str]) -> Any:
    visitor.get("/_allauth/browser/v1/config")
    token = visitor.session.cookies["csrftoken"]
    return visitor.post(f"/_allauth/browser/v1/{path}", body, **{"X-CSRFToken": token})


def _log_in_by_token(app: Visitor, name: str) -> None:
    token = {"client_id": CLIENT_ID, "id_token": provider().tokens_of(Person(name))["id_token"]}
    body = {"provider": "provider", "process": "login", "token": token}
    succeed(app.post("/_allauth/app/v1/auth/provider/token", body))
