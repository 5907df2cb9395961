"""django-guest-user: visitors are users before they sign up, and customers only when they do."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import include, path

from tests.sources.host import PASSWORD, VALUE, Host, Row, Story, rows
from tests.sources.visitor import Visitor, succeed


def play(request: HttpRequest) -> HttpResponse:
    """Let anybody play: who has no account gets one of a guest."""
    from guest_user.decorators import allow_guest_user

    answer: HttpResponse = allow_guest_user(lambda _: HttpResponse("page"))(request)
    return answer


class Site(Host):
    """django-guest-user as its quick start has it."""

    apps = ("guest_user",)
    settings = {
        "AUTHENTICATION_BACKENDS": [
            "django.contrib.auth.backends.ModelBackend",
            "guest_user.backends.GuestBackend",
        ]
    }

    def urls(self) -> list[Any]:
        """Return a game, and its own."""
        return [path("play/", play), path("convert/", include("guest_user.urls"))]

    def stories(self) -> dict[str, Story]:
        """Add what the others have not: guests who stay guests, and those who land again."""
        return {**super().stories(), "guest": self.tell_guest, "landed_as_guest": self.tell_landed_as_guest}

    def sign_up(self, visitor: Visitor, name: str) -> None:
        """Play as a guest, then convert."""
        visitor.get("/play/")
        succeed(visitor.submit("/convert/", username=name, password1=PASSWORD, password2=PASSWORD))

    def refuse(self, visitor: Visitor, name: str) -> None:
        """Repeat the password wrongly."""
        visitor.get("/play/")
        answer = visitor.submit("/convert/", username=name, password1=PASSWORD, password2="x")
        assert "errorlist" in answer.text

    def tell_guest(self, url: str, name: str) -> list[Row]:  # noqa: ARG002  a guest has none
        """Land, and play as a guest."""
        visitor = Visitor(url)
        visitor.land(VALUE)
        visitor.get("/play/")
        return rows()

    def tell_landed_as_guest(self, url: str, name: str) -> list[Row]:
        """Play as a guest, land, and convert."""
        visitor = Visitor(url)
        visitor.get("/play/")
        visitor.land(VALUE)
        self.sign_up(visitor, name)
        return rows()
