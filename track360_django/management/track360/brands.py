"""Brands as a person names them."""

from __future__ import annotations

from argparse import ArgumentParser

from django.core.management.base import CommandError

from track360_django import conf
from track360_django.models import Customer, Lane


def add_argument(parser: ArgumentParser) -> None:
    """Add the option that narrows a command to one brand."""
    parser.add_argument("--brand", help="only of this brand")


def brand_of(name: str | None) -> str:
    """
    Return the brand that a person named, or the one of a host that serves no request.

    Raises:
        CommandError: There is no such brand, or nobody can tell it.
    """
    if name is None:
        try:
            return conf.brand_of(None)
        except conf.BrandError as error:
            message = f"{error} A command takes --brand: {', '.join(conf.brands())}."
            raise CommandError(message, returncode=2) from None
    if name not in conf.brands():
        message = f"There is no brand {name!r}: TRACK360['BRANDS'] has {', '.join(conf.brands())}."
        raise CommandError(message, returncode=2)
    return name


def narrowed(name: str | None) -> dict[str, str]:
    """
    Return the condition on records that a person named a brand for: one that was taken out may have records still.

    Raises:
        CommandError: There is no such brand, and never was.
    """
    if name is None:
        return {}
    if name not in conf.brands() and not any(
        model._default_manager.filter(brand=name).exists() for model in (Lane, Customer)
    ):
        brand_of(name)
    return {"brand": name}
