"""The doorbell: many commits, one wake-up, and none that is missed."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from celery.app import app_or_default
from django.db import connection

from example_project import celery
from tests.rows import make_customer, make_customers
from track360_django import delivery
from track360_django.db.clock import Now
from track360_django.models import Doorbell
from track360_django.outbox import doorbell, wakeup

if TYPE_CHECKING:
    from example_project.servers import RedisServer
    from track360_django.sandbox.server import SandboxServer

pytestmark = pytest.mark.django_db(transaction=True)

ATTEMPTS = 20


@pytest.fixture
def queue(redis_server: RedisServer) -> RedisServer:
    """Return the suite's broker with an empty queue, known to be well."""
    celery.app.set_current()
    assert app_or_default().conf.task_always_eager is False
    redis_server.command("FLUSHALL")
    for _ in range(ATTEMPTS):
        wakeup.reset()
        # On a busy machine the first connection may take longer than a wake-up waits for the broker.
        if wakeup.wake():
            break
    redis_server.command("DEL", "celery")
    return redis_server


def hints(server: RedisServer) -> int:
    """Return how many wake-ups wait."""
    return int(server.command("LLEN", "celery").strip().lstrip(b":"))


def be_quiet_no_longer() -> None:
    """Let the moment pass in which this process knows that somebody will look."""
    time.sleep(wakeup.QUIET_SECONDS * 2)


def test_many_commits_publish_one_hint_until_somebody_answers(queue: RedisServer) -> None:
    """A hundred commits that nobody looked after are one message."""
    for number in range(100):
        make_customer(f"c{number}")
        if number % 25 == 0:
            be_quiet_no_longer()
            Doorbell.objects.filter(rung_at__isnull=False).update(rung_at=Now())

    assert hints(queue) == 1


def test_commit_after_the_answer_rings_again(queue: RedisServer, track360_sandbox: SandboxServer) -> None:
    """Who was called may have looked already: the next commit calls once more."""
    make_customer("c1")
    delivery.drain()
    be_quiet_no_longer()

    make_customer("c2")

    assert hints(queue) == 2


def test_ring_that_nobody_answers_is_repeated(queue: RedisServer) -> None:
    """A message may be lost: after a while the next commit publishes another one."""
    make_customer("c1")
    be_quiet_no_longer()
    Doorbell.objects.update(rung_at=Now() - doorbell.PATIENCE - timedelta(seconds=1))

    make_customer("c2")

    assert hints(queue) == 2


def test_worker_looks_once_more_after_the_quiet_of_every_process() -> None:
    """What a process commits without asking is seen by the last look of the worker it called."""
    assert wakeup.LINGER_SECONDS > wakeup.QUIET_SECONDS


def test_doorbell_that_is_missing_is_made(queue: RedisServer) -> None:
    """A database without the row, such as after a flush, wakes somebody all the same."""
    Doorbell.objects.all().delete()

    assert doorbell.ring(using="default") is True
    assert doorbell.ring(using="default") is False
    assert Doorbell.objects.count() == 1


def test_broken_doorbell_costs_no_commit(queue: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    """A database that can't ring still wakes: one hint too many harms nobody."""
    table = Doorbell._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {table} RENAME TO {table}_away")
    try:
        make_customers(1)
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER TABLE {table}_away RENAME TO {table}")

    assert hints(queue) == 1
    assert "could not ring the doorbell" in caplog.text
