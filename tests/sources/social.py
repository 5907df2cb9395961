"""A host whose people sign up by an account that they have elsewhere, and the stories of their way there and back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any, ClassVar, Final

from django.conf import settings
from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.test import override_settings
from django.urls import path

from tests.sources.browser import Browser
from tests.sources.host import OTHER_VALUE, VALUE, Host, Row, Story, rows
from tests.sources.identity_provider import IdentityProvider, Person
from tests.sources.visitor import Visitor, succeed

APP: Final = "https://app.brand.test"
WWW: Final = "https://www.brand.test"
OURS: Final = "brand.test"

# Behind a proxy that ends TLS, as brands are.
BEHIND_TLS: Final = {
    "ALLOWED_HOSTS": ["127.0.0.1", ".brand.test"],
    "SECURE_PROXY_SSL_HEADER": ("HTTP_X_FORWARDED_PROTO", "https"),
}
SECURE: Final = {"SESSION_COOKIE_SECURE": True, "CSRF_COOKIE_SECURE": True}
# A person's way back from the provider may be a POST of another site: their session comes along only if the host says so.
CROSS_SITE: Final[dict[str, Any]] = {"SESSION_COOKIE_SAMESITE": "None"}


@cache
def provider() -> IdentityProvider:
    """Return the provider of this process, which runs from the first time that it is asked for."""
    return IdentityProvider()


class SocialHost(Host):
    """One package that logs people in by an identity provider: subclass it as `Site`."""

    settings: ClassVar[Mapping[str, Any]] = BEHIND_TLS

    def urls(self) -> list[Any]:
        """Return the pages that tell who is logged in, and log them out."""
        return [path("who/", who), path("log-out/", log_out)]

    # Where a plain link starts the login, and the settings that allow it.
    login_path: ClassVar[str] = ""
    login_settings: ClassVar[Mapping[str, Any]] = {}

    def go(self, visitor: Visitor) -> None:
        """Press the button, go to the provider, and come back."""
        raise NotImplementedError

    def sign_up(self, visitor: Visitor, name: str) -> None:
        """Sign up as somebody who has an account at the provider."""
        provider().person = Person(name)
        self.go(visitor)
        assert is_known(visitor)

    def refuse(self, visitor: Visitor, name: str) -> None:  # noqa: ARG002  the provider tells nothing of them
        """Refuse, at the provider, to share anything."""
        provider().person = None
        self.go(visitor)
        assert not is_known(visitor)

    def stories(self) -> dict[str, Story]:
        """Return the common stories and those of a login that is no signup."""
        stories: dict[str, Story] = {
            "second_login": self.tell_second_login,
            "other_person": self.tell_other_person,
            "later_click": self.tell_later_click,
        }
        if self.login_path:
            stories["straight"] = self.tell_straight_to_provider
            stories["straight_session"] = self.tell_straight_to_provider_with_session_alone
        return super().stories() | stories

    def tell_second_login(self, url: str, name: str) -> list[Row]:
        """Sign up, log out, come by another link, log in."""
        visitor = Visitor(url)
        visitor.land(VALUE)
        self.sign_up(visitor, name)
        before = rows_in_full()
        visitor.get("/log-out/")
        visitor.land(OTHER_VALUE)
        self.sign_up(visitor, name)
        return [*before, *rows_in_full()]

    def tell_other_person(self, url: str, name: str) -> list[Row]:
        """Sign up, log out; then somebody who was a customer before logs in in the same browser, by another link."""
        self.sign_up(Visitor(url), f"{name}-2")
        visitor = Visitor(url)
        visitor.land(VALUE)
        self.sign_up(visitor, name)
        before = rows_in_full()
        visitor.get("/log-out/")
        visitor.land(OTHER_VALUE)
        self.sign_up(visitor, f"{name}-2")
        return [*before, *rows_in_full()]

    def tell_later_click(self, url: str, name: str) -> list[Row]:
        """Sign up, and click another link."""
        visitor = Visitor(url)
        visitor.land(VALUE)
        self.sign_up(visitor, name)
        before = rows_in_full()
        visitor.land(OTHER_VALUE)
        return [*before, *rows_in_full()]

    def tell_straight_to_provider(self, url: str, name: str) -> list[Row]:
        """Land on the very address that sends visitors on to the provider."""
        provider().person = Person(name)
        with override_settings(**self.login_settings):
            Visitor(url).get(self.login_path, tracking_data=VALUE)
        return rows()

    def tell_straight_to_provider_with_session_alone(self, url: str, name: str) -> list[Row]:
        """The same, while only the session remembers, which the package saves and replaces on the way."""
        with override_settings(TRACK360={**settings.TRACK360, "STORAGE": ("session",)}):
            return self.tell_straight_to_provider(url, name)


def who(request: HttpRequest) -> JsonResponse:
    """Say who is logged in."""
    return JsonResponse({"username": request.user.get_username()})


def log_out(request: HttpRequest) -> HttpResponse:
    """Forget the visitor's session."""
    logout(request)
    return HttpResponse("bye")


def is_known(visitor: Visitor) -> bool:
    """Tell whether somebody is logged in, as the host sees it."""
    return bool(succeed(visitor.session.get(f"{visitor.url}/who/", timeout=30)).json()["username"])


def rows_in_full() -> list[Row]:
    """Return all customers with what would tell of a change."""
    from track360_django.models import Customer

    columns = ("status", "source", "tracking", "first_touch", "last_touch", "version", "user_pk")
    return list(Customer.objects.order_by("pk").values(*columns))


@contextmanager
def browser_at(url: str, *, track360: Mapping[str, Any] | None = None, **changed: Any) -> Iterator[Browser]:
    """Yield a new browser, for which the host is `app.brand.test` and `www.brand.test`, by TLS, with other settings."""
    port = int(url.rpartition(":")[2])
    track360 = {**settings.TRACK360, **(track360 or {})}
    with override_settings(**SECURE, **changed, TRACK360=track360):
        yield Browser({"app.brand.test": port, "www.brand.test": port})


def land(browser: Browser, origin: str = APP) -> None:
    """Come by an affiliate's link, and look around."""
    for address in (f"/?tracking_data={VALUE}", "/games/", "/promotions/"):
        assert browser.visit(f"{origin}{address}").status == 200
