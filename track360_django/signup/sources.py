"""The auth packages that announce signups and activations, each found by the full path of its module."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from django.apps import apps

from track360_django import conf


@dataclass(frozen=True, kw_only=True)
class Source:
    """
    An auth package: what it is called here, its app as `AppConfig.name` has it, and the paths of its signals.

    An app is never found by its label: that of pinax's `account` is the one of allauth's, too.
    """

    name: str
    app: str
    signups: tuple[str, ...]
    activations: tuple[str, ...] = ()


# Sources: the signal definitions in each package's own code, and where they are sent.
# dj-rest-auth registers through allauth. A name is what stands in INSTALLED_APPS, without the package's own apps.
SOURCES: Final = (
    Source(
        name="allauth",
        app="allauth.account",
        signups=("allauth.account.signals.user_signed_up",),
        activations=("allauth.account.signals.email_confirmed",),
    ),
    Source(
        name="djoser",
        app="djoser",
        signups=("djoser.signals.user_registered",),
        activations=("djoser.signals.user_activated",),
    ),
    Source(
        name="django_registration",
        app="django_registration",
        signups=("django_registration.signals.user_registered",),
        activations=("django_registration.signals.user_activated",),
    ),
    # django-registration-redux.
    Source(
        name="registration",
        app="registration",
        signups=("registration.signals.user_registered",),
        activations=("registration.signals.user_activated", "registration.signals.user_approved"),
    ),
    Source(
        name="rest_registration",
        app="rest_registration",
        signups=("rest_registration.signals.user_registered",),
        activations=("rest_registration.signals.user_activated",),
    ),
    # Shops fork the app `oscar.apps.customer` under a name of their own; its signal stays.
    Source(name="oscar", app="oscar", signups=("oscar.apps.customer.signals.user_registered",)),
    # A guest is no customer, so `guest_created` announces nothing.
    Source(name="guest_user", app="guest_user", signups=("guest_user.signals.converted",)),
    Source(
        name="guest_user",
        app="guest_user.contrib.allauth",
        signups=("guest_user.contrib.allauth.signals.converted_social_account",),
    ),
    # django-user-accounts.
    Source(
        name="account",
        app="account",
        signups=("account.signals.user_signed_up",),
        activations=("account.signals.email_confirmed",),
    ),
    Source(
        name="graphql_auth",
        app="graphql_auth",
        signups=("graphql_auth.signals.user_registered",),
        activations=("graphql_auth.signals.user_verified",),
    ),
    # strawberry-django-auth.
    Source(
        name="gqlauth",
        app="gqlauth",
        signups=("gqlauth.user.signals.user_registered",),
        activations=("gqlauth.user.signals.user_verified",),
    ),
)

# What `SIGNUP_SOURCES` may name. The signal `customer_signed_up` is always heard: only a host sends it.
NAMES: Final = ("auth", *dict.fromkeys(source.name for source in SOURCES))


def is_wanted(name: str) -> bool:
    """Tell whether `SIGNUP_SOURCES` has a source."""
    wanted = conf.settings.SIGNUP_SOURCES
    if isinstance(wanted, str):
        return wanted in ("auto", name)
    return name in wanted


def installed() -> Iterator[Source]:
    """Yield the sources that the host has installed and wants."""
    for source in SOURCES:
        if is_wanted(source.name) and apps.is_installed(source.app):
            yield source
