"""Checks for hosts with several brands: names, HOSTS, tokens, the resolver, and settings without effect in a brand."""

from __future__ import annotations

import ipaddress
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from django.apps import apps
from django.conf import settings as django_settings
from django.core.checks import CheckMessage, Error, Warning  # noqa: A004  Django's name
from django.core.exceptions import ImproperlyConfigured

from track360_django import conf
from track360_django.conf import hostnames

# The width of the column in the tables.
MAX_NAME: Final = 64
# Read for the whole project. A value inside a brand is never read.
PROJECT_WIDE: Final = ("BRANDS", "BRAND_RESOLVER", "SIGNUP_SOURCES", "DATABASES")
# Names of this machine and of Django's tests: visitors never use them.
LOCAL: Final = ("localhost", ".localhost", "testserver")


def check_brands(**_: Any) -> list[CheckMessage]:
    """Check the settings that only a host with several brands has."""
    overrides = conf.configuration().get("BRANDS")
    if not isinstance(overrides, Mapping) or not overrides:
        return []
    messages = [*_check_names(overrides), *_check_project_wide(overrides), *_check_entries()]
    if len(conf.brands()) > 1:
        messages += [*_check_shared_hosts(), *_check_shared_tokens(), *_check_resolver()]
    return messages


def _check_names(names: Iterable[object]) -> Iterator[CheckMessage]:
    for name in names:
        is_key = isinstance(name, str) and 0 < len(name) <= MAX_NAME and name.isprintable()
        if not is_key or str(name).strip() != name:
            message = (
                f"TRACK360['BRANDS'] has the name {name!r}, which can't be the key of a brand's records."
            )
            hint = f"Use a text of 1 to {MAX_NAME} characters, without white space around it, such as 'red'."
            yield Error(message, hint=hint, id="track360_django.E028")


def _check_project_wide(overrides: Mapping[str, Any]) -> Iterator[CheckMessage]:
    for brand, own in overrides.items():
        for name in PROJECT_WIDE if isinstance(own, Mapping) else ():
            if name in own:
                message = (
                    f"TRACK360['BRANDS'][{brand!r}] has {name!r}. This setting is read for the whole project only: "
                    "inside a brand it has no effect."
                )
                hint = "Move it to the top level of TRACK360 itself."
                yield Warning(message, hint=hint, id="track360_django.W013")


def _check_entries() -> Iterator[CheckMessage]:
    for brand, entries in conf.hosts_of_brands().items():
        for entry in entries:
            if not hostnames.is_entry(entry):
                message = f"TRACK360['BRANDS'][{brand!r}]['HOSTS'] has {entry!r}, which is not a host name."
                hint = (
                    "Write it as in ALLOWED_HOSTS, without scheme, port and path: 'www.red.example'. '.red.example' also "
                    "covers all hosts below it. Write other alphabets in punycode."
                )
                yield Error(message, hint=hint, id="track360_django.E026")


def _check_shared_hosts() -> Iterator[CheckMessage]:
    owners: dict[str, list[str]] = defaultdict(list)
    for brand, entries in conf.hosts_of_brands().items():
        for entry in dict.fromkeys(map(hostnames.plain, entries)):
            owners[entry].append(brand)
    for entry, names in owners.items():
        if len(names) > 1:
            message = (
                f"The brands {' and '.join(names)} both have {entry!r} in HOSTS. Visitors of this host count for "
                f"{names[0]!r} only."
            )
            hint = (
                "Leave it in the HOSTS of one brand. HOSTS at the top level of TRACK360 applies to every brand: move it "
                "into the brands."
            )
            yield Error(message, hint=hint, id="track360_django.E025")


def _check_shared_tokens() -> Iterator[CheckMessage]:
    """Track360 knows a brand by its token alone."""
    owners: dict[str, list[str]] = defaultdict(list)
    for brand in _enabled():
        owners[conf.for_brand(brand).BRAND_TOKEN].append(brand)
    for token, names in owners.items():
        if token and len(names) > 1:
            message = (
                f"The brands {' and '.join(names)} have the same BRAND_TOKEN. Track360 counts their customers for one "
                "brand."
            )
            hint = (
                "Set BRAND_TOKEN per brand, each with its own token from Brand Settings in Track360. A token at the top "
                "level of TRACK360 is the default for brands without one."
            )
            yield Error(message, hint=hint, id="track360_django.E029")


def _enabled() -> list[str]:
    return [brand for brand in conf.brands() if conf.for_brand(brand).ENABLED]


def _check_resolver() -> Iterator[CheckMessage]:
    try:
        resolver = conf.resolver()
    except ImproperlyConfigured:
        # Another check reports it.
        return
    if resolver is None and _enabled() not in ([], [conf.brands()[0]]):
        message = f"There are several brands and no BRAND_RESOLVER. Every signup is reported for {conf.brands()[0]!r}."
        hint = "Give each brand its HOSTS, or set BRAND_RESOLVER to a function of the request."
        yield Warning(message, hint=hint, id="track360_django.W010")
    elif isinstance(resolver, str):
        yield from _check_word(resolver)


def _check_word(resolver: str) -> Iterator[CheckMessage]:
    if resolver == "site" and not apps.is_installed(hostnames.SITES):
        message = (
            "BRAND_RESOLVER is 'site', but Django's sites framework is not installed. No signup gets a brand."
        )
        hint = f"Add '{hostnames.SITES}' to INSTALLED_APPS, or use 'host'."
        yield Error(message, hint=hint, id="track360_django.E027")
    owned = conf.hosts_of_brands()
    if not any(owned.values()):
        message = f"BRAND_RESOLVER is {resolver!r}, but no brand has HOSTS. No signup gets a brand."
        hint = "Give each brand its HOSTS, such as ['.red.example']."
        yield Error(message, hint=hint, id="track360_django.E027")
        return
    for brand in _enabled():
        if not owned[brand]:
            message = f"TRACK360['BRANDS'][{brand!r}] has no HOSTS. No signup is reported for this brand automatically."
            hint = "Add its hosts to HOSTS, or report its customers with customers.report(user, brand=…)."
            yield Warning(message, hint=hint, id="track360_django.W011")
    if resolver == "host":
        yield from _check_allowed_hosts(owned)


def _check_allowed_hosts(owned: Mapping[str, tuple[str, ...]]) -> Iterator[CheckMessage]:
    for entry in django_settings.ALLOWED_HOSTS:
        if not _is_machines(entry) and not _is_covered(entry, owned):
            message = f"ALLOWED_HOSTS has {entry!r}, which no brand has in HOSTS. Users who sign up there are not reported."
            hint = "Add it to the HOSTS of its brand. '*' in HOSTS takes all hosts that no other brand has."
            yield Warning(message, hint=hint, id="track360_django.W012")


def _is_machines(entry: str) -> bool:
    """Return whether an entry names no host of visitors: any host (`*`), this machine, or an IP address."""
    try:
        ipaddress.ip_address(entry.strip("[]"))
    except ValueError:
        return entry == hostnames.ANY or entry.lower() in LOCAL
    return True


def _is_covered(entry: str, owned: Mapping[str, tuple[str, ...]]) -> bool:
    """Return whether a brand has this host. For a domain (`.red.example`), one host below it is enough."""
    name = hostnames.plain(entry)
    if hostnames.find_owner(name.removeprefix("."), owned) is not None:
        return True
    below = [hostnames.plain(each).lstrip(".") for entries in owned.values() for each in entries]
    return name.startswith(".") and any(each.endswith(name) for each in below)
