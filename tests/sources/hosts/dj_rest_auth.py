"""dj-rest-auth: a JSON API whose registration goes through django-allauth."""

from __future__ import annotations

from typing import Any

from django.urls import include, path, re_path
from django.views.generic import TemplateView

from tests.sources.host import PASSWORD, Host, link_in_mail
from tests.sources.visitor import Visitor, succeed


class Site(Host):
    """dj-rest-auth as its documentation sets registration up."""

    apps = (
        "rest_framework",
        "rest_framework.authtoken",
        "dj_rest_auth",
        "allauth",
        "allauth.account",
        # Imported by its registration, used or not.
        "allauth.socialaccount",
        "dj_rest_auth.registration",
    )
    middleware = ("allauth.account.middleware.AccountMiddleware",)
    settings = {"ACCOUNT_EMAIL_VERIFICATION": "optional", "ACCOUNT_RATE_LIMITS": False}
    activation_settings = {"ACCOUNT_EMAIL_VERIFICATION": "mandatory"}
    is_api = True

    def urls(self) -> list[Any]:
        """Return its own, and the page that the link of the mail leads to."""
        page = TemplateView.as_view(template_name="form.html")
        return [
            re_path("^account-confirm-email/(?P<key>[-:\\w]+)/$", page, name="account_confirm_email"),
            path("account-email-verification-sent/", page, name="account_email_verification_sent"),
            path("dj-rest-auth/", include("dj_rest_auth.urls")),
            path("dj-rest-auth/registration/", include("dj_rest_auth.registration.urls")),
        ]

    def sign_up(self, visitor: Visitor, name: str) -> None:
        """Call the API."""
        body = {
            "username": name,
            "email": f"{name}@example.com",
            "password1": PASSWORD,
            "password2": PASSWORD,
        }
        succeed(visitor.post("/dj-rest-auth/registration/", body))

    def refuse(self, visitor: Visitor, name: str) -> None:
        """Repeat the password wrongly."""
        body = {"username": name, "password1": PASSWORD, "password2": "x"}
        assert visitor.post("/dj-rest-auth/registration/", body).status_code == 400

    def activate(self, visitor: Visitor, name: str) -> None:  # noqa: ARG002  the mail says who it is
        """Send the key of the mail's link."""
        key = link_in_mail(r"account-confirm-email/([^/\s]+)/")[1]
        succeed(visitor.post("/dj-rest-auth/registration/verify-email/", {"key": key}))
