"""python-social-auth (social-app-django), with the step of `contrib` in its pipeline."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import include, path

from tests.sources.browser import Browser, Page
from tests.sources.host import Row, Story, rows
from tests.sources.identity_provider import CLIENT_ID, CLIENT_SECRET, Person
from tests.sources.social import APP, BEHIND_TLS, CROSS_SITE, OURS, SocialHost, browser_at, land, provider
from tests.sources.visitor import Visitor, succeed


def button(request: HttpRequest, backend: str) -> HttpResponse:
    """Show the button of a provider: the package starts by a POST alone."""
    from django.middleware.csrf import get_token

    token = f'<input type="hidden" name="csrfmiddlewaretoken" value="{get_token(request)}">'
    return HttpResponse(f'<form method="post" action="/social/login/{backend}/">{token}</form>')


def complete(request: HttpRequest, backend: str) -> HttpResponse:
    """Turn the provider's POST into a GET, which brings the visitor's cookies; the how-to shows it."""
    from social_django.views import complete as complete_login

    if request.method == "POST":
        return HttpResponseRedirect(f"{request.path}?{request.POST.urlencode()}")
    answer: HttpResponse = complete_login(request, backend)
    return answer


complete.csrf_exempt = True  # type: ignore[attr-defined]


def choose(request: HttpRequest, backend: str) -> HttpResponse:
    """Answer as the package does, or as the how-to says where the host has followed it."""
    from django.conf import settings
    from social_django.views import complete as complete_login

    view = complete if getattr(settings, "SOCIAL_COMES_BACK_BY_GET", False) else complete_login
    answer: HttpResponse = view(request, backend)
    return answer


choose.csrf_exempt = True  # type: ignore[attr-defined]


class Site(SocialHost):
    """social-app-django as its documentation has it, and a second provider that answers with a form."""

    apps = ("social_django",)
    middleware = ("social_django.middleware.SocialAuthExceptionMiddleware",)

    def configuration(self) -> Mapping[str, Any]:
        """Return what the package's documentation asks for, and the step of `contrib`."""
        return {
            **BEHIND_TLS,
            "AUTHENTICATION_BACKENDS": [
                "social_core.backends.open_id_connect.OpenIdConnectAuth",
                "tests.sources.hosts.social_auth_backend.FormPost",
                "django.contrib.auth.backends.ModelBackend",
            ],
            "SOCIAL_AUTH_PIPELINE": (
                "social_core.pipeline.social_auth.social_details",
                "social_core.pipeline.social_auth.social_uid",
                "social_core.pipeline.social_auth.auth_allowed",
                "social_core.pipeline.social_auth.social_user",
                "social_core.pipeline.user.get_username",
                "social_core.pipeline.user.create_user",
                "track360_django.contrib.social_auth.report_customer",
                "social_core.pipeline.social_auth.associate_user",
                "social_core.pipeline.social_auth.load_extra_data",
                "social_core.pipeline.user.user_details",
            ),
            "SOCIAL_AUTH_OIDC_OIDC_ENDPOINT": provider().url,
            "SOCIAL_AUTH_OIDC_KEY": CLIENT_ID,
            "SOCIAL_AUTH_OIDC_SECRET": CLIENT_SECRET,
            "SOCIAL_AUTH_FORM_POST_OIDC_ENDPOINT": provider().url,
            "SOCIAL_AUTH_FORM_POST_KEY": CLIENT_ID,
            "SOCIAL_AUTH_FORM_POST_SECRET": CLIENT_SECRET,
            "SOCIAL_AUTH_FORM_POST_AUTH_EXTRA_ARGUMENTS": {"response_mode": "form_post"},
            "SOCIAL_AUTH_LOGIN_ERROR_URL": "/games/",
            "SOCIAL_AUTH_RAISE_EXCEPTIONS": False,
        }

    def urls(self) -> list[Any]:
        """Return the package's."""
        return [
            *super().urls(),
            path("button/<backend>/", button),
            path("social/complete/<backend>/", choose),
            path("social/", include("social_django.urls", namespace="social")),
        ]

    def go(self, visitor: Visitor) -> None:
        """Press the button."""
        succeed(visitor.submit("/button/oidc/", form="csrfmiddlewaretoken"))

    def stories(self) -> dict[str, Story]:
        """Return the stories of a provider that comes back by a POST of its own site, too."""
        return super().stories() | {
            "form_post": self.tell_form_post,
            "form_post_session": self.tell_form_post_with_session,
            "form_post_cookie": self.tell_form_post_with_cookie_alone,
            "form_post_cookie_none": self.tell_form_post_with_open_cookie,
            "form_post_by_get": self.tell_form_post_by_get,
        }

    def tell_form_post(self, url: str, name: str) -> list[Row]:
        """Come back without a session, which the package refuses; then go the way of a redirect."""
        with browser_at(url) as browser:
            land(browser)
            assert _come_back(browser, name).url == f"{APP}/games/"
            assert rows() == []
            _press(browser, "oidc")
        return rows()

    def tell_form_post_with_session(self, url: str, name: str) -> list[Row]:
        """Come back with the session's cookie, which the host has opened for other sites."""
        with browser_at(url, **CROSS_SITE) as browser:
            land(browser)
            _come_back(browser, name)
        return rows()

    def tell_form_post_with_cookie_alone(self, url: str, name: str) -> list[Row]:
        """The same, with the touch in a cookie of its own that stays at home."""
        with browser_at(url, track360={"STORAGE": ("cookie",)}, **CROSS_SITE) as browser:
            land(browser)
            _come_back(browser, name)
        return rows()

    def tell_form_post_with_open_cookie(self, url: str, name: str) -> list[Row]:
        """The same, with that cookie open for other sites, too."""
        track360 = {"STORAGE": ("cookie",), "COOKIE_SAMESITE": "None"}
        with browser_at(url, track360=track360, **CROSS_SITE) as browser:
            land(browser)
            assert browser.cookie("track360")
            _come_back(browser, name)
            assert not browser.cookie("track360")
        return rows()

    def tell_form_post_by_get(self, url: str, name: str) -> list[Row]:
        """Come back by the view of the how-to; no cookie is open for other sites."""
        with browser_at(url, SOCIAL_COMES_BACK_BY_GET=True) as browser:
            land(browser)
            _come_back(browser, name)
        return rows()


def _press(browser: Browser, backend: str) -> Page:
    return browser.submit(browser.visit(f"{APP}/button/{backend}/", from_site=OURS))


def _come_back(browser: Browser, name: str) -> Page:
    """Go to the provider that answers with a form, and do with it what a browser does by itself."""
    provider().person = Person(name)
    page = _press(browser, "form-post")
    assert page.url.startswith(provider().url), page
    return browser.submit(page)
