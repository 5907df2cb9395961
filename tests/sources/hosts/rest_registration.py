"""django-rest-registration: a JSON API, activation by a signed link in a mail; its signals have no sender."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlsplit

from django.urls import include, path

from tests.sources.host import PASSWORD, Host, link_in_mail
from tests.sources.visitor import Visitor, succeed


class Site(Host):
    """django-rest-registration as its quick start has it."""

    apps = ("rest_framework", "rest_registration")
    settings = {
        "REST_REGISTRATION": {
            "REGISTER_VERIFICATION_ENABLED": True,
            "REGISTER_VERIFICATION_URL": "http://127.0.0.1/verify-user/",
            "REGISTER_EMAIL_VERIFICATION_URL": "http://127.0.0.1/verify-email/",
            "RESET_PASSWORD_VERIFICATION_URL": "http://127.0.0.1/reset-password/",
            "VERIFICATION_FROM_EMAIL": "no-reply@example.com",
        }
    }
    is_api = True

    def urls(self) -> list[Any]:
        """Return its own."""
        return [path("accounts/", include("rest_registration.api.urls"))]

    def sign_up(self, visitor: Visitor, name: str) -> None:
        """Call the API."""
        body = {"username": name, "email": f"{name}@example.com", "password": PASSWORD}
        succeed(visitor.post("/accounts/register/", {**body, "password_confirm": PASSWORD}))

    def refuse(self, visitor: Visitor, name: str) -> None:
        """Repeat the password wrongly."""
        body = {"username": name, "password": PASSWORD, "password_confirm": "x"}
        assert visitor.post("/accounts/register/", body).status_code == 400

    def activate(self, visitor: Visitor, name: str) -> None:  # noqa: ARG002  the mail says who it is
        """Send what the link of the mail holds."""
        link = link_in_mail(r"http\S+/verify-user/\S+")[0]
        succeed(visitor.post("/accounts/verify-registration/", dict(parse_qsl(urlsplit(link).query))))
