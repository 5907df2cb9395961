"""A host that one auth package runs in, and the stories that are told to each of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar, Final

from django.core import mail

from tests.sources.visitor import Visitor

# What is sure to be a password of nobody.
PASSWORD: Final = "a-long-and-unlikely-password"
VALUE: Final = "2001_1000_abcdefg"
OTHER_VALUE: Final = "9999_9999_somebody-else"

Row = dict[str, Any]
Story = Callable[[str, str], list[Row]]


class Host:
    """One auth package as its own quick start sets it up: subclass it as `Site`."""

    # What is in INSTALLED_APPS beside Django's own and ours.
    apps: ClassVar[tuple[str, ...]] = ()
    # Middleware behind ours.
    middleware: ClassVar[tuple[str, ...]] = ()
    settings: ClassVar[Mapping[str, Any]] = {}
    # Settings that the package needs to wait for an activation, while `REPORT_ON` is "activation".
    activation_settings: ClassVar[Mapping[str, Any]] = {}
    # A signup without cookies, the value in a header: for packages whose signups are calls of an API.
    is_api: ClassVar[bool] = False
    # A name of `environments.py`, for a package that can't share the project's environment.
    environment: ClassVar[str] = ""

    def configuration(self) -> Mapping[str, Any]:
        """Return the settings, and those that are known only when the host is started."""
        return self.settings

    def urls(self) -> list[Any]:
        """Return the URL patterns; pages and the admin are there already."""
        return []

    def sign_up(self, visitor: Visitor, name: str) -> None:
        """Sign up as a browser (or an app) does."""
        raise NotImplementedError

    def refuse(self, visitor: Visitor, name: str) -> None:
        """Try to sign up with a form that the package refuses."""
        raise NotImplementedError

    def activate(self, visitor: Visitor, name: str) -> None:
        """Do what the mail of the signup asks for, in any browser."""
        raise NotImplementedError

    @property
    def has_activation(self) -> bool:
        """Whether the package can ask for an activation."""
        return type(self).activate is not Host.activate

    def stories(self) -> dict[str, Story]:
        """Return the stories of this host by their names: each is told a URL and a user's name, and returns rows."""
        stories: dict[str, Story] = {
            "attributed": self.tell_attributed,
            "unattributed": self.tell_unattributed,
            "refused": self.tell_refused,
            "forgotten": self.tell_forgotten,
        }
        if self.is_api:
            stories |= {"header": self.tell_header, "body": self.tell_body}
        if self.has_activation:
            stories["activated"] = self.tell_activated
        return stories

    def tell_attributed(self, url: str, name: str) -> list[Row]:
        """Land, wander, sign up."""
        visitor = Visitor(url)
        visitor.land(VALUE)
        self.sign_up(visitor, name)
        return rows()

    def tell_unattributed(self, url: str, name: str) -> list[Row]:
        """Sign up without a landing."""
        self.sign_up(Visitor(url), name)
        return rows()

    def tell_refused(self, url: str, name: str) -> list[Row]:
        """Land, and fill the form wrongly."""
        visitor = Visitor(url)
        visitor.land(VALUE)
        self.refuse(visitor, name)
        return rows()

    def tell_header(self, url: str, name: str) -> list[Row]:
        """Sign up as an app that keeps no cookies and sends the value in a header."""
        self.sign_up(Visitor(url, headers={"X-Track360-Tracking": VALUE}), name)
        return rows()

    def tell_body(self, url: str, name: str) -> list[Row]:
        """Sign up as an app that keeps no cookies and sends the value beside its other fields."""
        self.sign_up(Visitor(url, body={"tracking_data": VALUE}), name)
        return rows()

    def tell_forgotten(self, url: str, name: str) -> list[Row]:
        """Ask a browser what it remembers, before its signup and after it."""
        visitor = Visitor(url)
        visitor.land(VALUE)
        before = visitor.remembers()
        self.sign_up(visitor, name)
        return [before, visitor.remembers()]

    def tell_activated(self, url: str, name: str) -> list[Row]:
        """Land, sign up, and be activated in another browser, which came by another link and still knows it."""
        with activation(self.activation_settings):
            visitor = Visitor(url)
            visitor.land(VALUE)
            self.sign_up(visitor, name)
            waiting = rows()
            other = Visitor(url)
            other.land(OTHER_VALUE)
            self.activate(other, name)
            return [*waiting, *rows(), other.remembers()]


@contextmanager
def activation(package: Mapping[str, Any]) -> Iterator[None]:
    """Report customers when they are activated, for a while."""
    from django.conf import settings
    from django.test import override_settings

    with override_settings(TRACK360={**settings.TRACK360, "REPORT_ON": "activation"}, **package):
        yield


def rows() -> list[Row]:
    """Return all customers, as the stories tell them."""
    from track360_django.models import Customer

    columns = ("status", "reason", "source", "tracking", "unattributed_reason")
    return list(Customer.objects.order_by("pk").values(*columns))


def link_in_mail(pattern: str) -> re.Match[str]:
    """
    Return what a pattern finds in the last mail.

    Raises:
        AssertionError: It has no such thing, or there is no mail.
    """
    text = str(mail.outbox[-1].body) if mail.outbox else "no mail was sent"
    found = re.search(pattern, text)
    if found is None:
        raise AssertionError(text)
    return found
