"""Three brands of one host, each with a sandbox and a token of its own; who hears of what belongs to another is told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Final

from pytest_django import Settings as HostSettings

from track360_django.sandbox.server import SandboxServer
from track360_django.sandbox.store import fingerprint

NAMES: Final = ("red", "blue", "green")


def token_of(name: str) -> str:
    """Return a brand's token."""
    return f"token-of-{name}"


def host_of(name: str) -> dict[str, str]:
    """Return the headers of a request for a brand's host."""
    return {"host": f"www.{name}.example"}


@dataclass(frozen=True)
class Houses:
    """The sandboxes by brand; two may share one."""

    settings: HostSettings
    sandboxes: Mapping[str, SandboxServer]

    def change(self, name: str, **changes: Any) -> None:
        """Change some of one brand's settings."""
        brands = self.settings.TRACK360["BRANDS"]
        self.configure(BRANDS={**brands, name: {**brands[name], **changes}})

    def configure(self, **changes: Any) -> None:
        """Change some of the settings."""
        self.settings.TRACK360 = {**self.settings.TRACK360, **changes}

    def customers(self, name: str) -> dict[str, dict[str, Any]]:
        """Return the customers that came under a brand's token, by id."""
        snapshot = self.sandboxes[name].store.snapshot()
        return {
            str(each.record["customerId"]): dict(each.record)
            for each in snapshot.customers
            if each.brand == fingerprint(token_of(name))
        }

    def events(self, name: str) -> list[str]:
        """Return the ids of the activities that came under a brand's token, in order."""
        return [str(record["eventid"]) for record in self.records(name)]

    def records(self, name: str) -> list[dict[str, Any]]:
        """Return the activities that came under a brand's token, in order."""
        received = self.sandboxes[name].store.snapshot().activities
        return [dict(each.record) for each in received if each.brand == fingerprint(token_of(name))]

    def tokens_seen(self, name: str) -> set[str]:
        """Return whose tokens came to a brand's address."""
        names = {fingerprint(token_of(each)): each for each in NAMES}
        return {names.get(entry.brand, entry.brand) for entry in self.sandboxes[name].store.log.entries()}

    def requests(self, name: str) -> int:
        """Return how many requests came to a brand's address."""
        return len(self.sandboxes[name].store.log.entries())


@contextmanager
def open_houses(settings: HostSettings, *, is_shared: bool = False) -> Iterator[Houses]:
    """Run the sandboxes, or one for all, and lead the brands of `TRACK360` to them."""
    with ExitStack() as stack:
        if is_shared:
            one = stack.enter_context(SandboxServer(token=[token_of(name) for name in NAMES]))
            sandboxes = dict.fromkeys(NAMES, one)
        else:
            sandboxes = {name: stack.enter_context(SandboxServer(token=token_of(name))) for name in NAMES}
        settings.ALLOWED_HOSTS = ["*"]
        settings.ROOT_URLCONF = "tests.host.urls"
        brands = {
            name: {
                "BASE_URL": sandboxes[name].url,
                "BRAND_TOKEN": token_of(name),
                "HOSTS": [f".{name}.example"],
            }
            for name in NAMES
        }
        # What all brands have in common is nobody's way out.
        common = {
            "BASE_URL": "",
            "BRAND_TOKEN": "",
            "EVENTS": (),
            "PRODUCT_FIELD": "",
            "LANES": 1,
            "BRANDS": brands,
        }
        settings.TRACK360 = {**settings.TRACK360, **common}
        yield Houses(settings, sandboxes)
