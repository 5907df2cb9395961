"""dj-rest-auth's social login: with a code that a single-page application, or an app, brought from a provider."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qs, urlencode, urlsplit

import requests
from django.test import override_settings
from django.urls import include, path

from tests.sources.host import OTHER_VALUE, VALUE, Host, Row, Story, rows
from tests.sources.hosts.allauth_social import openid_connect
from tests.sources.identity_provider import CLIENT_ID, Person
from tests.sources.social import provider, rows_in_full
from tests.sources.visitor import Visitor, succeed

# A page of the single-page application.
BACK: Final = "http://127.0.0.1/games/"


class Site(Host):
    """dj-rest-auth with tokens, over django-allauth."""

    apps = (
        "rest_framework",
        "rest_framework.authtoken",
        "allauth",
        "allauth.account",
        "allauth.socialaccount",
        "allauth.socialaccount.providers.openid_connect",
        "dj_rest_auth",
        "dj_rest_auth.registration",
    )
    middleware = ("allauth.account.middleware.AccountMiddleware",)
    is_api = True

    def configuration(self) -> Mapping[str, Any]:
        """Return what the packages' documentation asks for."""
        return {
            "ACCOUNT_EMAIL_VERIFICATION": "none",
            "ACCOUNT_RATE_LIMITS": False,
            "REST_FRAMEWORK": {
                "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework.authentication.TokenAuthentication"]
            },
            "SOCIALACCOUNT_PROVIDERS": {"openid_connect": {"APPS": [openid_connect()]}},
        }

    def urls(self) -> list[Any]:
        """Return the package's social login, as its documentation has it."""
        from allauth.socialaccount.providers.oauth2.client import OAuth2Client
        from allauth.socialaccount.providers.openid_connect.views import OpenIDConnectOAuth2Adapter
        from dj_rest_auth.registration.views import SocialLoginView

        class Adapter(OpenIDConnectOAuth2Adapter):  # type: ignore[misc]  # comes without types
            def __init__(self, request: Any) -> None:
                super().__init__(request, "provider")

        class Login(SocialLoginView):  # type: ignore[misc]  # comes without types
            adapter_class = Adapter
            client_class = OAuth2Client
            callback_url = BACK

        # allauth asks for the address of its signup form, which nobody is sent to.
        return [path("accounts/", include("allauth.urls")), path("social/", Login.as_view())]

    def sign_up(self, visitor: Visitor, name: str) -> None:
        """Bring a code from the provider, as the script of a page does, and hand it to the host."""
        succeed(self._log_in(visitor, Person(name)))

    def refuse(self, visitor: Visitor, name: str) -> None:  # noqa: ARG002  the provider tells nothing of them
        """Bring no code, for the person has refused to share anything."""
        assert self._log_in(visitor, None).status_code == 400

    def stories(self) -> dict[str, Story]:
        """Return the common stories, the same without auto-signup, and a login that is no signup."""
        return super().stories() | {
            "silent": _without_auto_signup(self.tell_attributed),
            "silent_header": _without_auto_signup(self.tell_header),
            "silent_second_login": _without_auto_signup(self.tell_second_login),
            "second_login": self.tell_second_login,
        }

    def tell_second_login(self, url: str, name: str) -> list[Row]:
        """Sign up, come by another link, log in."""
        visitor = Visitor(url)
        visitor.land(VALUE)
        self.sign_up(visitor, name)
        before = rows_in_full()
        visitor.land(OTHER_VALUE)
        self.sign_up(visitor, name)
        return [*before, *rows_in_full()]

    def _log_in(self, visitor: Visitor, person: Person | None) -> requests.Response:
        provider().person = person
        query = {"client_id": CLIENT_ID, "response_type": "code", "scope": "openid email", "state": "state"}
        address = f"{provider().url}/authorize?{urlencode(query | {'redirect_uri': BACK})}"
        answer = visitor.session.get(address, allow_redirects=False, timeout=30)
        code = parse_qs(urlsplit(answer.headers["Location"]).query).get("code", [""])[0]
        return visitor.post("/social/", {"code": code})


def _without_auto_signup(story: Story) -> Story:
    """Return a story of a host where the package creates the user itself and tells nobody."""

    def tell(url: str, name: str) -> list[Row]:
        with override_settings(SOCIALACCOUNT_AUTO_SIGNUP=False):
            told = story(url, name)
        assert rows()
        return told

    return tell
