"""djoser: a JSON API, activation by a token in a mail."""

from __future__ import annotations

from typing import Any

from django.urls import include, path

from tests.sources.host import PASSWORD, Host, link_in_mail
from tests.sources.visitor import Visitor, succeed


class Site(Host):
    """djoser as its quick start has it."""

    apps = ("rest_framework", "rest_framework.authtoken", "djoser")
    settings = {"DJOSER": {"ACTIVATION_URL": "activate/{uid}/{token}", "SEND_ACTIVATION_EMAIL": True}}
    is_api = True

    def urls(self) -> list[Any]:
        """Return djoser's."""
        return [path("auth/", include("djoser.urls"))]

    def sign_up(self, visitor: Visitor, name: str) -> None:
        """Call the API."""
        body = {"username": name, "email": f"{name}@example.com", "password": PASSWORD}
        succeed(visitor.post("/auth/users/", body))

    def refuse(self, visitor: Visitor, name: str) -> None:
        """Call it without a password."""
        assert visitor.post("/auth/users/", {"username": name}).status_code == 400

    def activate(self, visitor: Visitor, name: str) -> None:  # noqa: ARG002  the mail says who it is
        """Send what the link of the mail holds."""
        found = link_in_mail(r"activate/([^/\s]+)/(\S+)")
        succeed(visitor.post("/auth/users/activation/", {"uid": found[1], "token": found[2]}))
