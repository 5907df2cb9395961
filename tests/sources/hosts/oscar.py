"""django-oscar: a shop whose signal is sent robustly, with a view as its sender."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

from django.contrib.auth import get_user_model
from django.db.models.signals import pre_save
from django.urls import include, path

from tests.sources.host import PASSWORD, VALUE, Host, Row, Story, rows
from tests.sources.visitor import Visitor, succeed

OWN = "django.contrib."


def apps_of_oscar() -> tuple[str, ...]:
    """Return the apps that its own list adds to those each host has."""
    import oscar

    return ("django.contrib.flatpages", *(app for app in oscar.INSTALLED_APPS if not app.startswith(OWN)))


class Site(Host):
    """django-oscar as its quick start has it."""

    environment = "apart"
    middleware = (
        "oscar.apps.basket.middleware.BasketMiddleware",
        "django.contrib.flatpages.middleware.FlatpageFallbackMiddleware",
    )

    @property
    def apps(self) -> tuple[str, ...]:  # type: ignore[override]  # oscar names them
        """Return its own."""
        return apps_of_oscar()

    def configuration(self) -> Mapping[str, Any]:
        """Return its own, all of them."""
        from oscar import defaults

        own = {name: value for name, value in vars(defaults).items() if name.isupper()}
        search = {"default": {"ENGINE": "haystack.backends.simple_backend.SimpleEngine"}}
        backends = [
            "oscar.apps.customer.auth_backends.EmailBackend",
            "django.contrib.auth.backends.ModelBackend",
        ]
        return {
            **own,
            "HAYSTACK_CONNECTIONS": search,
            "AUTHENTICATION_BACKENDS": backends,
            "MEDIA_URL": "/media/",
        }

    def urls(self) -> list[Any]:
        """Return the shop."""
        from django.apps import apps

        shop: Any = apps.get_app_config("oscar")
        return [path("shop/", include(shop.urls[0]))]

    def stories(self) -> dict[str, Story]:
        """Add the form that is sent twice."""
        return {**super().stories(), "sent_twice": self.tell_sent_twice}

    def sign_up(self, visitor: Visitor, name: str) -> None:
        """Fill its form."""
        email = f"{name}@example.com"
        succeed(
            visitor.submit("/shop/accounts/register/", email=email, password1=PASSWORD, password2=PASSWORD)
        )

    def refuse(self, visitor: Visitor, name: str) -> None:
        """Repeat the password wrongly."""
        email = f"{name}@example.com"
        answer = visitor.submit("/shop/accounts/register/", email=email, password1=PASSWORD, password2="x")
        assert "error" in answer.text

    def tell_sent_twice(self, url: str, name: str) -> list[Row]:
        """Land, and send the form twice at once: both find the address free, and oscar makes two users."""
        visitor = Visitor(url)
        visitor.land(VALUE)
        both = Barrier(2, timeout=20)

        def wait(instance: Any, **_: Any) -> None:
            # Oscar saves one of the two again, and so does each login: how often depends on who is first.
            if instance._state.adding:
                both.wait()

        def send() -> None:
            twin = Visitor(url)
            twin.session.cookies.update(visitor.session.cookies)
            self.sign_up(twin, name)

        pre_save.connect(wait, sender=get_user_model())
        try:
            with ThreadPoolExecutor(2) as pool:
                for sent in [pool.submit(send), pool.submit(send)]:
                    sent.result()
        finally:
            pre_save.disconnect(wait, sender=get_user_model())
        return rows()
