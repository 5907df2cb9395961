"""Settling through a restart of the database: what was accepted is neither lost nor sent twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.rows import make_activities, make_customer
from track360_django import delivery
from track360_django.models import Activity, Status

if TYPE_CHECKING:
    from example_project.servers import PostgresServer
    from track360_django.sandbox.server import SandboxServer


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_database_restarted_between_answer_and_settling_settles_afterwards(
    settings: Any, track360_sandbox: SandboxServer, postgres_server: PostgresServer
) -> None:
    """A worker whose connection was cut opens another one and settles: no record is sent twice."""
    customer = make_customer("c1")
    delivery.drain()
    customer.refresh_from_db()
    make_activities(customer, 5)

    def restart(_status: int, _text: str) -> bool:
        # RESPONSE_CHECK is called when the answer was read and nothing is settled.
        postgres_server.restart()
        return True

    settings.TRACK360 = {**settings.TRACK360, "RESPONSE_CHECK": restart}

    delivery.drain()

    assert set(Activity.objects.values_list("status", flat=True)) == {Status.DELIVERED}
    assert [entry.endpoint for entry in track360_sandbox.store.snapshot().requests] == [
        "customers",
        "activities",
    ]
