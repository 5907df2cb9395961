"""dj-rest-auth: registration, and a login with a code that a single-page application brought from a provider."""

from __future__ import annotations

from typing import Any, ClassVar, Final
from urllib.parse import parse_qs, urlencode, urlsplit

from django.test import override_settings
from django.urls import include, path

from tests.sources.host import OTHER_VALUE, PASSWORD, VALUE, Host, Row, Story, rows
from tests.sources.hosts.allauth_social import OPENID_CONNECT
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
    settings: ClassVar[dict[str, Any]] = {
        "ACCOUNT_EMAIL_VERIFICATION": "none",
        "ACCOUNT_RATE_LIMITS": False,
        "REST_FRAMEWORK": {
            "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework.authentication.TokenAuthentication"]
        },
        "SOCIALACCOUNT_PROVIDERS": {"openid_connect": {"APPS": [OPENID_CONNECT]}},
    }
    is_api = True

    def urls(self) -> list[Any]:
        """Return the package's, and its social login as its documentation has it."""
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

        return [
            # allauth asks for the address of its signup form, which nobody is sent to.
            path("accounts/", include("allauth.urls")),
            path("registration/", include("dj_rest_auth.registration.urls")),
            path("social/", Login.as_view()),
        ]

    def sign_up(self, visitor: Visitor, name: str) -> None:
        """Call the API."""
        form = {
            "username": name,
            "email": f"{name}@people.test",
            "password1": PASSWORD,
            "password2": PASSWORD,
        }
        succeed(visitor.post("/registration/", form))

    def refuse(self, visitor: Visitor, name: str) -> None:
        """Call it without a password."""
        assert visitor.post("/registration/", {"username": name}).status_code == 400

    def stories(self) -> dict[str, Story]:
        """Return the stories of accounts that people have elsewhere."""
        return super().stories() | {
            "social": self.tell_social,
            "social_silent": self.tell_social_without_signal,
            "social_app": self.tell_social_with_header,
            "second_login": self.tell_second_login,
        }

    def tell_social(self, url: str, name: str) -> list[Row]:
        """Go to the provider, come back with a code, log in with it."""
        visitor = Visitor(url)
        visitor.land(VALUE)
        _log_in(visitor, name)
        return rows()

    def tell_social_without_signal(self, url: str, name: str) -> list[Row]:
        """The same without auto-signup: the package creates the user and tells nobody."""
        with override_settings(SOCIALACCOUNT_AUTO_SIGNUP=False):
            return self.tell_social(url, name)

    def tell_social_with_header(self, url: str, name: str) -> list[Row]:
        """The same for an app that keeps no cookies and sends the value in a header."""
        with override_settings(SOCIALACCOUNT_AUTO_SIGNUP=False):
            _log_in(Visitor(url, **{"X-Track360-Tracking": VALUE}), name)
        return rows()

    def tell_second_login(self, url: str, name: str) -> list[Row]:
        """Sign up, come by another link, log in."""
        with override_settings(SOCIALACCOUNT_AUTO_SIGNUP=False):
            visitor = Visitor(url)
            visitor.land(VALUE)
            _log_in(visitor, name)
            before = rows_in_full()
            visitor.land(OTHER_VALUE)
            _log_in(visitor, name)
        return [*before, *rows_in_full()]


def _log_in(visitor: Visitor, name: str) -> None:
    """Bring a code from the provider, as the script of a page does, and hand it to the host."""
    provider.person = Person(name)
    query = {"client_id": CLIENT_ID, "response_type": "code", "scope": "openid email", "state": "state"}
    address = f"{provider.url}/authorize?{urlencode(query | {'redirect_uri': BACK})}"
    answer = visitor.session.get(address, allow_redirects=False, timeout=30)
    code = parse_qs(urlsplit(answer.headers["Location"]).query)["code"][0]
    succeed(visitor.post("/social/", {"code": code}))
