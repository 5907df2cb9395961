"""An asynchronous host behind a real ASGI server: nothing is lost, nothing blocks its loop, nothing leaves it needlessly."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
import requests
from asgiref.sync import SyncToAsync
from django.core.handlers.asgi import ASGIHandler
from pytest_django import Settings as HostSettings

from example_project.processes import Process, wait_until
from tests.conftest import SpawnHost
from tests.wires import Request, over_asgi
from track360_django.models import Customer

TRACKING = "track360_django.middleware.TrackingMiddleware"
SESSIONS = {
    "db": "django.contrib.sessions.backends.db",
    "cache": "django.contrib.sessions.backends.cache",
    "cookies": "django.contrib.sessions.backends.signed_cookies",
}


def serve(spawn_host: SpawnHost, sessions: str) -> tuple[Process, str]:
    """Start uvicorn with this session store, with asyncio's own checks on; return it and its address."""
    process: Process = spawn_host(
        *("-m", "uvicorn", "example_project.asgi:application", "--port", "0", "--lifespan", "off"),
        name="uvicorn",
        env={
            "DJANGO_SETTINGS_MODULE": "tests.host.asynchronous",
            "TRACK360_TEST_SESSIONS": SESSIONS[sessions],
            "PYTHONASYNCIODEBUG": "1",
            "DJANGO_ALLOW_ASYNC_UNSAFE": "",
        },
    )
    address = re.compile(r"running on (http://[\d.:]+)")
    wait_until(lambda: address.search(process.log_tail()) is not None, process, "uvicorn")
    found = address.search(process.log_tail())
    assert found
    return process, found[1]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("sessions", SESSIONS)
def test_visitor_of_an_asynchronous_host_is_one_customer_with_their_link(
    spawn_host: SpawnHost, sessions: str
) -> None:
    """Landing, wandering and signing up in async views, with sessions in each store; also without our cookie."""
    process, url = serve(spawn_host, sessions)

    for name, keeps_cookie in (("alex", True), ("bo", False)):
        visitor = requests.Session()
        pages = [
            visitor.get(f"{url}/{path}", timeout=30).text
            for path in (f"?tracking_data=2001_1000_{name}", "?page=2", "plain/", "")
        ]
        if not keeps_cookie:
            visitor.cookies.pop("track360")
        remembered = visitor.get(f"{url}/touches/", timeout=30).json()
        joined = visitor.post(f"{url}/join/?username={name}", timeout=30)

        assert pages == ["1", "2", "page", "3"]
        assert remembered == {"last": {"tracking_data": f"2001_1000_{name}"}}
        assert joined.status_code == 200
    assert [customer.tracking["tracking_data"] for customer in Customer.objects.order_by("pk")] == [
        "2001_1000_alex",
        "2001_1000_bo",
    ]
    log = process.log_tail(10_000)
    assert "SynchronousOnlyOperation" not in log
    assert "Traceback" not in log
    assert "never awaited" not in log


# What stays on the loop.


@pytest.fixture
def hops(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """Return a function that tells how often a thread was asked for since it was last called."""
    counted: list[object] = []
    call = SyncToAsync.__call__

    async def count(self: Any, *args: Any, **kwargs: Any) -> Any:
        counted.append(self)
        return await call(self, *args, **kwargs)

    def since() -> int:
        number = len(counted)
        counted.clear()
        return number

    monkeypatch.setattr(SyncToAsync, "__call__", count)
    return since


@pytest.mark.django_db
@pytest.mark.urls("tests.host.asynchronous")
@pytest.mark.parametrize(
    "request_",
    [
        Request(path="/plain/"),
        Request(path="/plain/", query=b"page=2&sort=price"),
        Request(path="/plain/", headers={"Cookie": b"sessionid=" + b"a" * 32 + b"; track360=x"}),
        Request(path="/plain/", method="POST", body=b'{"a": 1}', headers={"Content-Type": b"application/json"}),
        Request(
            path="/plain/", method="POST", body=b"a=1", headers={"Content-Type": b"application/x-www-form-urlencoded"}
        ),
    ],
    ids=["no-query", "foreign-query", "known-visitor", "json", "form"],
)  # fmt: skip
def test_request_without_a_parameter_leaves_the_loop_no_oftener_than_without_us(
    settings: HostSettings, hops: Callable[[], int], request_: Request
) -> None:
    """The fast path asks for no thread: an async page is served on the loop."""
    asynchronous = [name for name in settings.MIDDLEWARE if "Session" in name or name == TRACKING]
    counts = []
    for middleware in (asynchronous, [name for name in asynchronous if name != TRACKING]):
        settings.MIDDLEWARE = middleware
        handler = ASGIHandler()
        hops()
        assert over_asgi(request_, handler).status == 200
        counts.append(hops())

    with_us, without_us = counts
    assert with_us == without_us


@pytest.mark.django_db
@pytest.mark.urls("tests.host.asynchronous")
def test_landing_leaves_the_loop_once(settings: HostSettings, hops: Callable[[], int]) -> None:
    """What may block (the host's consent function, its session store) is done in one go, in a thread."""
    asynchronous = [name for name in settings.MIDDLEWARE if "Session" in name or name == TRACKING]
    settings.MIDDLEWARE = asynchronous
    handler = ASGIHandler()
    settings.TRACK360 = {**settings.TRACK360, "STORAGE": ("cookie",)}
    over_asgi(Request(path="/plain/"), handler)
    plain = hops()

    over_asgi(Request(path="/plain/", query=b"tracking_data=a"), handler)

    assert hops() == plain + 1
