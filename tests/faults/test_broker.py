"""What the broker does wrong, beside `tests/outbox/test_wakeup.py`: it forgets its hints, repeats them, or is not there."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING

import pytest
from redis import Redis

from tests.faults import api, behaviours
from tests.faults.api import FaultServer
from tests.faults.ledger import accepted, found, is_all_delivered, wait_until, wake
from tests.rows import make_activities, make_customer, make_customers

if TYPE_CHECKING:
    from example_project.servers import Process, RedisServer
    from tests.conftest import SpawnHost

pytestmark = pytest.mark.django_db(transaction=True)

CELERY = ("-m", "celery", "-A", "example_project")
WORKER = (*CELERY, "worker", "--concurrency=2", "--loglevel=INFO", "--without-gossip", "--without-mingle")
HINTS = 10_000


def start(spawn_host: SpawnHost, *words: str, name: str, settings: str = "tests.faults.settings") -> Process:
    """Start a Celery process under the settings of the fault suite, in which the sweep comes every second."""
    return spawn_host(*words, name=name, env={"DJANGO_SETTINGS_MODULE": settings})


def queued(redis: RedisServer) -> int:
    """Return how many messages wait in Celery's queue."""
    return int(redis.command("LLEN", "celery").strip().lstrip(b":"))


def repeat_hints(redis: RedisServer, count: int) -> None:
    """Let so many hints wait: the one that waits now, again and again, each as a message of its own."""
    with Redis.from_url(redis.client_url) as client:
        hint = client.lindex("celery", 0)
        client.rpush("celery", *(_another(hint) for _ in range(count - queued(redis))))
    assert queued(redis) == count


def _another(hint: bytes) -> str:
    message = json.loads(hint)
    message["headers"] |= {"id": str(uuid.uuid4()), "root_id": str(uuid.uuid4())}
    message["properties"] |= {"correlation_id": message["headers"]["id"], "delivery_tag": str(uuid.uuid4())}
    return json.dumps(message)


def test_flushed_hints_are_made_up_for_by_the_sweep(
    fault_api: FaultServer, redis_server: RedisServer, spawn_host: SpawnHost
) -> None:
    """All hints in the queue are flushed: the next sweep delivers what they announced."""
    make_activities(make_customer("c1"), 3)
    wake()
    assert queued(redis_server) > 0
    redis_server.command("FLUSHALL")
    worker = start(spawn_host, *WORKER, name="worker")
    wait_until(lambda: " ready." in worker.log_tail(200), "the worker is ready")
    redis_server.command("FLUSHALL")
    assert fault_api.exchanges == []

    start(spawn_host, *CELERY, "beat", f"--schedule={worker.log}.beat", "--pidfile=", name="beat")

    wait_until(is_all_delivered, "the sweep delivers")
    assert found(fault_api) == []


def test_worker_survives_a_broker_that_is_killed_and_delivers_afterwards(
    fault_api: FaultServer, private_redis: RedisServer, spawn_host: SpawnHost
) -> None:
    """Redis is killed under worker and beat and comes back empty: nobody has to restart anything."""
    broker = {"CELERY_BROKER_URL": private_redis.url, "DJANGO_SETTINGS_MODULE": "tests.faults.settings"}
    worker = spawn_host(*WORKER, name="worker", env=broker)
    wait_until(lambda: " ready." in worker.log_tail(200), "the worker is ready")
    beat = spawn_host(*CELERY, "beat", f"--schedule={worker.log}.beat", "--pidfile=", name="beat", env=broker)
    make_customer("c1")
    wait_until(is_all_delivered, "the sweep delivers")

    private_redis.kill()
    private_redis.restart()
    make_customer("c2")

    wait_until(is_all_delivered, "the sweep delivers again")
    assert (worker.is_running, beat.is_running) == (True, True)
    assert found(fault_api) == []


def test_ten_thousand_hints_send_nothing_twice(
    fault_api: FaultServer, redis_server: RedisServer, spawn_host: SpawnHost
) -> None:
    """However many hints wait, each record is sent once, in as many requests as one drain needs."""
    fault_api.plan = api.always(behaviours.LATE)
    for customer in make_customers(20):
        make_activities(customer, 2)
    wake()
    repeat_hints(redis_server, HINTS)

    worker = start(spawn_host, *WORKER, name="worker", settings="example_project.settings")

    wait_until(is_all_delivered, "everything is delivered")
    # Some more of them show what the others do: nothing is due, so nothing is sent.
    left = queued(redis_server)
    wait_until(lambda: queued(redis_server) < left - 200, "hints that have nothing to do are worked off")
    assert worker.is_running
    assert len(accepted(fault_api)) == 40
    # A lane has one request for its customers and one for their activities.
    assert len(fault_api.exchanges) <= 2 * 8
    assert found(fault_api) == []


def test_without_celery_the_command_delivers(
    fault_api: FaultServer, spawn_host: SpawnHost, redis_server: RedisServer
) -> None:
    """A host without a broker: `track360 deliver` from cron sends what the tables have, and needs nobody else."""
    for customer in make_customers(10):
        make_activities(customer, 2)
    redis_server.command("FLUSHALL")
    nowhere = {"CELERY_BROKER_URL": "redis://127.0.0.1:1/0"}

    runs = [spawn_host("-m", "django", "track360", "deliver", name=f"cron{n}", env=nowhere) for n in range(2)]

    assert [run.wait(120) for run in runs] == [0, 0]
    assert is_all_delivered()
    assert len(accepted(fault_api)) == 20
    assert found(fault_api) == []
