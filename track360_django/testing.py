"""
Pytest plugin for hosts: two fixtures that run Track360's sandbox on loopback and show the records for it.

pytest loads it in every project of the environment, so at import it loads neither Django nor the rest of the
package. The fixtures need pytest-django.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from django.db.models import QuerySet
    from pytest_django import Settings

    from track360_django.delivery import Report
    from track360_django.models import Activity, Customer
    from track360_django.sandbox.server import SandboxServer

TOKEN: Final = "sandbox-token"  # noqa: S105  it opens nothing but the sandbox
# Settings that would lead a request away from the loopback interface.
_DETOURS: Final = frozenset({"PROXIES", "CA_BUNDLE"})


class Outbox:
    """The package's rows in the host's database, and a way to deliver them now."""

    @property
    def customers(self) -> QuerySet[Customer]:
        """Return all customers, oldest first."""
        from track360_django.models import Customer  # noqa: PLC0415  models need settings

        return Customer.objects.order_by("pk")

    @property
    def activities(self) -> QuerySet[Activity]:
        """Return all activities, oldest first."""
        from track360_django.models import Activity  # noqa: PLC0415  models need settings

        return Activity.objects.order_by("pk")

    def bodies(self, eventname: str | None = None) -> list[dict[str, Any]]:
        """Return the bodies of the activities as they are sent, oldest first; only of `eventname`, if given."""
        import json  # noqa: PLC0415  so that the plugin costs nothing in a project that does not use it

        rows = self.activities if eventname is None else self.activities.filter(eventname=eventname)
        return [json.loads(row.body) for row in rows]

    def deliver(self) -> Report:
        """Deliver all due records in this thread, without Celery; return the counts."""
        from track360_django import delivery  # noqa: PLC0415  models need settings

        return delivery.drain()


@pytest.fixture
def track360_sandbox(settings: Settings) -> Iterator[SandboxServer]:
    """
    Return a sandbox for this test. The host's `TRACK360` setting points to it, for every brand.

    Received records are in `.store`. Call `.fail(status=503)` to make the sandbox answer with an error.
    """
    from track360_django.sandbox.server import SandboxServer  # noqa: PLC0415  only tests that use it pay for it

    with SandboxServer() as sandbox:
        settings.TRACK360 = _lead_to(sandbox.url, getattr(settings, "TRACK360", {}))
        yield sandbox


@pytest.fixture
def track360_outbox(db: None, track360_sandbox: SandboxServer) -> Outbox:  # noqa: ARG001  asked for, so set up
    """
    Return the records to be reported: `.customers`, `.activities`, `.bodies("Deposit")`, `.deliver()`.

    It also starts the sandbox, so a test can't deliver to the real API by mistake.
    """
    return Outbox()


def _lead_to(url: str, configured: Mapping[str, Any]) -> dict[str, Any]:
    """Return the setting with the sandbox's URL and tokens. Each brand gets its own token, so they stay apart."""
    led = _replace(configured, url, TOKEN) | {"ENABLED": True, "ALLOW_HTTP": True}
    if "BRANDS" in configured:
        brands = configured["BRANDS"].items()
        led["BRANDS"] = {name: _replace(brand, url, f"{TOKEN}-{name}") for name, brand in brands}
    return led


def _replace(configured: Mapping[str, Any], url: str, token: str) -> dict[str, Any]:
    kept = {key: value for key, value in configured.items() if key not in _DETOURS}
    return kept | {"BASE_URL": url, "BRAND_TOKEN": token}
