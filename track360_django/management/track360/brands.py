"""Brands as a person names them."""

from __future__ import annotations

from django.core.management.base import CommandError

from track360_django import conf


def brand_of(name: str | None) -> str:
    """
    Return the brand that a person named, or the one of a host that serves no request.

    Raises:
        CommandError: There is no such brand.
    """
    if name is None:
        return conf.brand_of(None)
    if name not in conf.brands():
        message = f"There is no brand {name!r}: TRACK360['BRANDS'] has {', '.join(conf.brands())}."
        raise CommandError(message, returncode=2)
    return name
