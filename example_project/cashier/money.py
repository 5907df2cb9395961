"""Amounts and their currencies: how many places an amount has, and how a person reads it."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

# What the site offers to everybody; staff open accounts in any other currency.
CURRENCIES: Final = ("USD", "EUR")
# ISO 4217: the minor unit is a hundredth everywhere but here. Add those that your brand deals in.
_PLACES: Final = {"JPY": 0, "KRW": 0, "BHD": 3, "KWD": 3}

# Note [Amounts in the tables]
# Three places hold the minor units of every currency that people pay in, so 250 dollars are stored as 250.000. On the
# wire they are "250.00": zeros behind the minor units are cut, and no digit is. Fifteen digits are what SQLite, which
# keeps decimals as floats, gives back exactly.
MAX_DIGITS: Final = 15
DECIMAL_PLACES: Final = 3


def places(currency: str) -> int:
    """Return how many places an amount of a currency has after the point."""
    return _PLACES.get(currency, 2)


def is_payable(amount: Decimal, currency: str) -> bool:
    """Tell whether an amount has no digit behind the minor units of its currency."""
    return amount == round(amount, places(currency))


def text(amount: Decimal, currency: str) -> str:
    """Return an amount as a person reads it: `250.00 USD`, `250 JPY`; no digit is cut."""
    digits = max(places(currency), -int(amount.normalize().as_tuple().exponent))
    return f"{amount:.{digits}f} {currency}"
