"""What only a host with several brands can get wrong: whose hosts, whose key, what does nothing where it stands."""

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

# As wide as the column of the tables.
MAX_NAME: Final = 64
# Read for the whole project: what a brand has instead is never looked at.
PROJECT_WIDE: Final = ("BRANDS", "BRAND_RESOLVER", "SIGNUP_SOURCES", "DATABASES")
# Names that only machines use.
LOCAL: Final = ("localhost", ".localhost", "testserver")


def check_brands(**_: Any) -> list[CheckMessage]:
    """Check what only a host with several brands can get wrong."""
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
            message = f"TRACK360['BRANDS'] has the name {name!r}, which is no key of its records."
            hint = f"Use a text of 1 to {MAX_NAME} characters, without white space around it, such as 'red'."
            yield Error(message, hint=hint, id="track360_django.E028")


def _check_project_wide(overrides: Mapping[str, Any]) -> Iterator[CheckMessage]:
    for brand, own in overrides.items():
        for name in PROJECT_WIDE if isinstance(own, Mapping) else ():
            if name in own:
                message = (
                    f"TRACK360['BRANDS'][{brand!r}] has {name!r}, which is read for the whole project alone."
                )
                hint = "Move it into TRACK360 itself."
                yield Warning(message, hint=hint, id="track360_django.W013")


def _check_entries() -> Iterator[CheckMessage]:
    for brand, entries in conf.hosts_of_brands().items():
        for entry in entries:
            if not hostnames.is_entry(entry):
                message = f"TRACK360['BRANDS'][{brand!r}]['HOSTS'] has {entry!r}, which is no host name."
                hint = (
                    "Write it as in ALLOWED_HOSTS, without scheme, port and path: 'www.red.example', or '.red.example' for "
                    "all below it, too; other alphabets in punycode."
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
                f"{' and '.join(names)} both have {entry!r} in HOSTS: its visitors would be the first one's."
            )
            hint = "Give it to one of them; HOSTS in TRACK360 itself is every brand's, so write it into the brands."
            yield Error(message, hint=hint, id="track360_django.E025")


def _check_shared_tokens() -> Iterator[CheckMessage]:
    """Track360 knows a brand by its token alone."""
    owners: dict[str, list[str]] = defaultdict(list)
    for brand in _enabled():
        owners[conf.for_brand(brand).BRAND_TOKEN].append(brand)
    for token, names in owners.items():
        if token and len(names) > 1:
            message = f"{' and '.join(names)} have the same BRAND_TOKEN: Track360 takes their customers for one brand's."
            hint = "Give each brand its own, from its Brand Settings; one in TRACK360 itself is that of all without one."
            yield Error(message, hint=hint, id="track360_django.E029")


def _enabled() -> list[str]:
    return [brand for brand in conf.brands() if conf.for_brand(brand).ENABLED]


def _check_resolver() -> Iterator[CheckMessage]:
    try:
        resolver = conf.resolver()
    except ImproperlyConfigured:
        # It has a message of its own.
        return
    if resolver is None and _enabled() not in ([], [conf.brands()[0]]):
        message = (
            f"There are several brands and no BRAND_RESOLVER: every signup is one of {conf.brands()[0]!r}."
        )
        hint = "Give each brand its HOSTS, or set BRAND_RESOLVER to a function of the request."
        yield Warning(message, hint=hint, id="track360_django.W010")
    elif isinstance(resolver, str):
        yield from _check_word(resolver)


def _check_word(resolver: str) -> Iterator[CheckMessage]:
    if resolver == "site" and not apps.is_installed(hostnames.SITES):
        message = "BRAND_RESOLVER is 'site', and Django's sites are not installed: no signup has a brand."
        hint = f"Add '{hostnames.SITES}' to INSTALLED_APPS, or use 'host'."
        yield Error(message, hint=hint, id="track360_django.E027")
    owned = conf.hosts_of_brands()
    if not any(owned.values()):
        message = f"BRAND_RESOLVER is {resolver!r}, and no brand has HOSTS: no signup has a brand."
        hint = "Give each brand its HOSTS, such as ['.red.example']."
        yield Error(message, hint=hint, id="track360_django.E027")
        return
    for brand in _enabled():
        if not owned[brand]:
            message = f"TRACK360['BRANDS'][{brand!r}] has no HOSTS: no signup is one of its own by itself."
            hint = "Name its hosts, or report its customers with customers.report(user, brand=…)."
            yield Warning(message, hint=hint, id="track360_django.W011")
    if resolver == "host":
        yield from _check_allowed_hosts(owned)


def _check_allowed_hosts(owned: Mapping[str, tuple[str, ...]]) -> Iterator[CheckMessage]:
    for entry in django_settings.ALLOWED_HOSTS:
        if not _is_machines(entry) and not _is_covered(entry, owned):
            message = (
                f"ALLOWED_HOSTS has {entry!r}, which is no brand's: whoever signs up there is not reported."
            )
            hint = "Add it to the HOSTS of its brand; '*' takes what no other brand has."
            yield Warning(message, hint=hint, id="track360_django.W012")


def _is_machines(entry: str) -> bool:
    """Tell whether an entry says nothing of visitors: any host, this machine, an address."""
    try:
        ipaddress.ip_address(entry.strip("[]"))
    except ValueError:
        return entry == hostnames.ANY or entry.lower() in LOCAL
    return True


def _is_covered(entry: str, owned: Mapping[str, tuple[str, ...]]) -> bool:
    """Tell whether a host is a brand's, or some of those below a domain are."""
    name = hostnames.plain(entry)
    if hostnames.find_owner(name.removeprefix("."), owned) is not None:
        return True
    below = [hostnames.plain(each).lstrip(".") for entries in owned.values() for each in entries]
    return name.startswith(".") and any(each.endswith(name) for each in below)
