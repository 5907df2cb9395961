"""The settings that every request of the host needs, read once for each configuration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from track360_django.conf import options
from track360_django.conf.options import CARRY_PARAM, Settings, asked, brands, configuration, for_brand


@dataclass(frozen=True, slots=True)
class Entrance:
    """The settings that every request of the host needs, read from the host's dict when it had `size` keys."""

    configured: Any
    size: int
    params: tuple[str, ...]
    asks_consent: bool


def landing_params() -> tuple[str, ...]:
    """Return the parameters of all brands that make a URL a landing; none while `ENABLED` is off."""
    return entrance().params


def entrance() -> Entrance:
    """
    Return the settings that every request of the host needs.

    This runs on every request. So the settings are read again only if the host's dict is another object, or has more or
    fewer keys.
    """
    global _entrance  # noqa: PLW0603  one value, replaced as a whole
    known, configured = _entrance, asked.get("TRACK360")
    if configured is known.configured and len(configured) == known.size:
        return known
    found = configuration()
    own = [for_brand(brand) for brand in brands()]
    params = tuple(dict.fromkeys(name for each in own if each.ENABLED for name in _names_of_landing(each)))
    asks_consent = any(options.configured(brand, "CONSENT") is not None for brand in brands())
    _entrance = Entrance(found, len(found), params, asks_consent)
    return _entrance


def _names_of_landing(brand: Settings) -> tuple[str, ...]:
    promo = (brand.PROMO_PARAM,) if brand.PROMO_CODES else ()
    return (*brand.TRACKING_PARAMS, CARRY_PARAM, *promo)


_entrance = Entrance(object(), 0, (), asks_consent=False)
