"""django-registration-redux: forms, activation by a link in a mail, and a workflow in which a colleague approves."""

from __future__ import annotations

from typing import Any

from django.urls import include, path

from tests.sources.host import OTHER_VALUE, PASSWORD, VALUE, Host, Row, Story, activation, link_in_mail, rows
from tests.sources.visitor import Visitor, succeed


class Site(Host):
    """Its default workflow, and the one with an approval beside it."""

    apps = ("registration",)
    settings = {
        "ACCOUNT_ACTIVATION_DAYS": 7,
        "REGISTRATION_AUTO_LOGIN": False,
        "REGISTRATION_ADMINS": [("Boss", "boss@example.com")],
    }

    def urls(self) -> list[Any]:
        """Return both workflows."""
        return [
            path("approved/", include("registration.backends.admin_approval.urls")),
            path("accounts/", include("registration.backends.default.urls")),
        ]

    def stories(self) -> dict[str, Story]:
        """Add the workflow with an approval."""
        return {**super().stories(), "approved": self.tell_approved}

    def sign_up(self, visitor: Visitor, name: str, *, path: str = "/accounts/register/") -> None:
        """Fill its form."""
        email = f"{name}@example.com"
        succeed(visitor.submit(path, username=name, email=email, password1=PASSWORD, password2=PASSWORD))

    def refuse(self, visitor: Visitor, name: str) -> None:
        """Repeat the password wrongly."""
        answer = visitor.submit("/accounts/register/", username=name, password1=PASSWORD, password2="x")
        assert "errorlist" in answer.text

    def activate(self, visitor: Visitor, name: str) -> None:  # noqa: ARG002  the mail says who it is
        """Open the link of the mail."""
        visitor.get(link_in_mail(r"/accounts/activate/[^/\s]+/")[0])

    def tell_approved(self, url: str, name: str) -> list[Row]:
        """Land, sign up, confirm, and be approved by a colleague who came by another link."""
        from django.contrib.auth.models import User

        with activation({}):
            visitor = Visitor(url)
            visitor.land(VALUE)
            self.sign_up(visitor, name, path="/approved/register/")
            visitor.get(link_in_mail(r"/\w+/activate/[^/\s]+/")[0].replace("/accounts/", "/approved/"))
            waiting = rows()
            boss = f"boss-of-{name}"
            User.objects.create_superuser(boss, f"{boss}@example.com", PASSWORD)
            colleague = Visitor(url)
            colleague.land(OTHER_VALUE)
            succeed(colleague.submit("/admin/login/", username=boss, password=PASSWORD))
            colleague.get(link_in_mail(r"/approved/approve/\d+/")[0])
            return [*waiting, *rows()]
