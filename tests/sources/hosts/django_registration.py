"""django-registration 5: a form, activation by a signed key in a mail."""

from __future__ import annotations

from typing import Any

from django.urls import include, path

from tests.sources.host import PASSWORD, VALUE, Host, Row, Story, link_in_mail, rows
from tests.sources.visitor import Visitor, succeed


class Site(Host):
    """Its two-step workflow, and its one-step workflow beside it."""

    apps = ("django_registration",)
    settings = {"ACCOUNT_ACTIVATION_DAYS": 7, "REGISTRATION_OPEN": True}

    def urls(self) -> list[Any]:
        """Return both workflows."""
        return [
            path("one-step/", include("django_registration.backends.one_step.urls")),
            path("accounts/", include("django_registration.backends.activation.urls")),
        ]

    def stories(self) -> dict[str, Story]:
        """Add the workflow that logs in at once."""
        return {**super().stories(), "one_step": self.tell_one_step}

    def sign_up(self, visitor: Visitor, name: str, *, path: str = "/accounts/register/") -> None:
        """Fill its form."""
        email = f"{name}@example.com"
        succeed(visitor.submit(path, username=name, email=email, password1=PASSWORD, password2=PASSWORD))

    def refuse(self, visitor: Visitor, name: str) -> None:
        """Repeat the password wrongly."""
        answer = visitor.submit("/accounts/register/", username=name, password1=PASSWORD, password2="x")
        assert "errorlist" in answer.text

    def activate(self, visitor: Visitor, name: str) -> None:  # noqa: ARG002  the mail says who it is
        """Open the link of the mail, and confirm."""
        succeed(visitor.submit(link_in_mail(r"/accounts/activate/\S+")[0], form="activation_key"))

    def tell_one_step(self, url: str, name: str) -> list[Row]:
        """Land, wander, sign up and be logged in by the same request."""
        visitor = Visitor(url)
        visitor.land(VALUE)
        self.sign_up(visitor, name, path="/one-step/register/")
        return rows()
