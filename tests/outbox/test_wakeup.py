"""The wake-up on a real broker: one hint a transaction, bounded in every trouble, never an error."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from celery import Celery
from celery.app import app_or_default
from django.db import transaction

from tests.rows import make_customer, make_customers
from track360_django.models import Customer
from track360_django.outbox import doorbell, wakeup

if TYPE_CHECKING:
    from example_project.servers import RedisServer

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def app_on(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Celery]]:
    """Return a function that makes a Celery app on a broker the current one, with a fresh wake-up."""
    # Celery prefers it to an app's own configuration.
    monkeypatch.delenv("CELERY_BROKER_URL", raising=False)
    apps: list[Celery] = []

    def use(url: str, **configuration: Any) -> Celery:
        app = Celery("host", broker=url, set_as_current=True)
        app.conf.update(configuration)
        # For the other threads, too.
        app.set_default()
        apps.append(app)
        wakeup.reset()
        return app

    before = app_or_default()
    yield use
    wakeup.reset()
    before.set_current()
    before.set_default()
    for app in apps:
        app.close()


def queued(server: RedisServer) -> int:
    """Return how many messages wait in Celery's queue."""
    return int(server.command("LLEN", "celery").strip().lstrip(b":"))


def test_transaction_with_many_rows_publishes_one_hint(
    private_redis: RedisServer, app_on: Callable[..., Celery]
) -> None:
    """A commit wakes delivery once, however many rows it has."""
    app_on(private_redis.url)

    with transaction.atomic():
        make_customers(10)

    assert queued(private_redis) == 1


def test_rolled_back_transaction_publishes_nothing(
    private_redis: RedisServer, app_on: Callable[..., Celery]
) -> None:
    """What was not committed wakes nobody and leaves no row."""
    app_on(private_redis.url)

    with transaction.atomic():
        make_customer("c1")
        transaction.set_rollback(True)

    assert queued(private_redis) == 0
    assert not Customer.objects.exists()


def test_rolled_back_savepoint_does_not_swallow_the_hint(
    private_redis: RedisServer, app_on: Callable[..., Celery]
) -> None:
    """A row written after a rolled back savepoint wakes delivery."""
    app_on(private_redis.url)

    with transaction.atomic():
        with transaction.atomic():
            make_customer("c1")
            transaction.set_rollback(True)
        make_customer("c2")

    assert queued(private_redis) == 1
    assert Customer.objects.get().customer_id == "c2"


def test_hint_carries_no_data(private_redis: RedisServer, app_on: Callable[..., Celery]) -> None:
    """A message names the task and nothing of the record."""
    app_on(private_redis.url)

    make_customer("customer-4711")

    message = private_redis.command("LRANGE", "celery", "0", "-1")
    assert b"track360_django.tasks.deliver" in message
    assert b"4711" not in message
    assert b"sandbox-token" not in message


def test_paused_broker_costs_a_moment_once(private_redis: RedisServer, app_on: Callable[..., Celery]) -> None:
    """A broker that answers nothing costs about a quarter of a second once, then nothing for half a minute."""
    app_on(private_redis.url)
    make_customer("c1")
    private_redis.pause()

    begun = time.monotonic()
    make_customer("c2")
    first = time.monotonic() - begun
    begun = time.monotonic()
    results = {wakeup.wake() for _ in range(1000)}
    others = time.monotonic() - begun

    private_redis.resume()
    # Generous, for noisy machines: without the bounds the first call hangs for ever and the others take minutes.
    assert first < 5
    assert others < 5
    assert results == {False}
    assert Customer.objects.count() == 2


def test_missing_broker_never_raises(app_on: Callable[..., Celery], caplog: pytest.LogCaptureFixture) -> None:
    """Without a broker records are written all the same, with one warning."""
    app_on("redis://127.0.0.1:1/0")

    make_customers(5)

    assert Customer.objects.count() == 5
    warnings = [record for record in caplog.records if record.name == "track360_django.outbox.wakeup"]
    assert len(warnings) == 1


def test_broker_with_a_wrong_password_never_raises(
    private_tcp_redis: RedisServer, app_on: Callable[..., Celery], caplog: pytest.LogCaptureFixture
) -> None:
    """A broker that refuses the login is no error of the host, and its password is not logged."""
    private_tcp_redis.command("CONFIG", "SET", "requirepass", "right")
    app_on(private_tcp_redis.url.replace("redis://", "redis://:wrong-password@"))

    assert wakeup.wake() is False
    assert "wrong-password" not in caplog.text


def test_restarted_broker_is_used_again(private_redis: RedisServer, app_on: Callable[..., Celery]) -> None:
    """A broker that lost its connections and its queue gets the next hint after the breaker's time."""
    app_on(private_redis.url)
    make_customer("c1")
    private_redis.restart()

    make_customer("c2")
    wakeup.reset()
    # A sweep has looked meanwhile.
    doorbell.answer(using="default")
    make_customer("c3")

    assert queued(private_redis) >= 1


def test_eager_host_delivers_at_once(track360_sandbox: Any, app_on: Callable[..., Celery]) -> None:
    """A host with CELERY_TASK_ALWAYS_EAGER needs no broker: its commit delivers."""
    app = app_on("redis://127.0.0.1:1/0", task_always_eager=True)
    app.loader.import_module("track360_django.tasks")

    make_customer("c1")

    assert track360_sandbox.store.customer("c1") is not None


def test_slow_look_up_of_the_broker_costs_a_moment(
    app_on: Callable[..., Celery], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name server that doesn't answer is no reason for a page to wait."""
    released = threading.Event()

    def look_up(*_: object) -> list[Any]:
        released.wait(20)
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    app_on("redis://broker.invalid:6379/0")

    begun = time.monotonic()
    is_taken = wakeup.wake()
    took = time.monotonic() - begun

    released.set()
    assert is_taken is False
    # Generous, for noisy machines: without the bound it takes 20 seconds.
    assert took < 5


def test_threads_share_the_connections(private_redis: RedisServer, app_on: Callable[..., Celery]) -> None:
    """A server that makes a thread for each request doesn't make a connection for each."""
    app_on(private_redis.url)
    wakeup.wake()
    before = int(private_redis.command("INFO", "stats").split(b"total_connections_received:")[1].split()[0])

    for _ in range(20):
        thread = threading.Thread(target=wakeup.wake)
        thread.start()
        thread.join()

    after = int(private_redis.command("INFO", "stats").split(b"total_connections_received:")[1].split()[0])
    assert queued(private_redis) == 21
    # One for each command of this test, none for the hints.
    assert after - before <= 2
