"""
The wake-up: after a commit, one hint without data through Celery's broker. It may fail; the sweep comes anyway.

Commits that follow each other closely share one hint (`doorbell`).

It names the task and imports none. Beside `tasks` the only module that knows Celery.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

from celery import Celery
from celery.app import app_or_default
from django.db import DatabaseError, InterfaceError, connections, transaction
from kombu import Connection, Producer

from track360_django import conf

logger = logging.getLogger(__name__)

DELIVER: Final = "track360_django.tasks.deliver"
# What a broker that is down, paused or gone may cost: so much, once in so long, in each process.
BROKER_TIMEOUT_SECONDS: Final = 0.25
BREAKER_SECONDS: Final = 30.0
# Keeps a queue that nobody reads from growing for ever. Celery compares it with the worker's own clock, so it is wide:
# a worker an hour ahead would throw away every hint and every sweep.
EXPIRES_SECONDS: Final = 7_200
# A worker that is woken looks a last time no earlier than so long after it began. So for a shorter time after a hint
# a process need not even ask whether the next one is needed: what it commits meanwhile is seen by that last look.
LINGER_SECONDS: Final = 0.03
QUIET_SECONDS: Final = 0.02
# How many connections are kept for the next hint: more threads than that rarely publish at once.
MAX_IDLE: Final = 4
# How far back a transaction's callbacks are searched for our own: a double hint is harmless, a long search is not.
_SEARCH: Final = 64


def after_commit(*, using: str) -> None:
    """Wake delivery once when the current transaction commits; at once outside of one."""
    connection = connections[using]
    call = _call_of(using)
    if connection.in_atomic_block and any(entry[1] is call for entry in connection.run_on_commit[-_SEARCH:]):
        # Callbacks of a savepoint that is rolled back are removed with it, so the list itself is the memory.
        return
    transaction.on_commit(call, using=using, robust=True)


def _take_back(using: str) -> None:
    """Leave the bell unrung when no broker took the hint: another process may have more luck."""
    from track360_django.outbox import doorbell  # noqa: PLC0415  `tasks` imports this module from a settings file

    with contextlib.suppress(DatabaseError, InterfaceError):
        doorbell.answer(using=using)


@functools.cache
def _call_of(using: str) -> Callable[[], None]:
    """Return the one callback of a database: it is recognised by being the same."""
    quiet_until = 0.0

    def call() -> None:
        nonlocal quiet_until
        if time.monotonic() < quiet_until or not _may_publish():
            return
        if app_or_default().conf.task_always_eager:
            wake()
            return
        # Before the question: whoever is woken begins later than now, and looks again after `LINGER_SECONDS`.
        begun = time.monotonic()
        if not _is_news(using) or wake():
            quiet_until = begun + QUIET_SECONDS
        else:
            _take_back(using)

    return call


def _is_news(using: str) -> bool:
    from track360_django.outbox import doorbell  # noqa: PLC0415  `tasks` imports this module from a settings file

    try:
        return doorbell.ring(using=using)
    except (DatabaseError, InterfaceError) as error:
        # The commit is done; one hint too many harms nobody.
        logger.warning(
            "track360: the doorbell can't be read (%s); the hint is published.", type(error).__name__
        )
        return True


def wake() -> bool:
    """
    Publish the hint now; tell whether a broker took it.

    Never raises, and never waits longer than a quarter of a second, once in 30 seconds, for a broker in trouble.
    """
    if not _may_publish():
        return False
    try:
        _publish(app_or_default())
    except Exception as error:  # noqa: BLE001  kombu's transports raise whatever their libraries do
        _breaker.open()
        logger.warning(
            "track360: the broker took no wake-up (%s); records wait for the sweep, and the broker is left alone "
            "for %d seconds.",
            type(error).__name__,
            BREAKER_SECONDS,
        )
        return False
    return True


def reset() -> None:
    """Forget what this process knows of the broker, good or bad; the next hint tries it afresh."""
    _breaker.close()
    _channel.forget()
    _call_of.cache_clear()


def _may_publish() -> bool:
    return bool(conf.brands_on()) and _breaker.is_closed()


def _publish(app: Celery) -> None:
    if app.conf.task_always_eager:
        # What a host's development settings ask for: the task runs here and now.
        app.tasks[DELIVER].apply()
        return
    with _channel.producer(app) as producer:
        app.send_task(
            DELIVER,
            producer=producer,
            ignore_result=True,
            expires=EXPIRES_SECONDS,
            retry=True,
            # Note: `retry=False` would leave kombu's own patience of six seconds in place.
            retry_policy={"max_retries": 0, "interval_start": 0, "interval_step": 0, "interval_max": 0},
        )


class _Breaker:
    """Leaves a broker alone for a while after it failed, in this process."""

    def __init__(self) -> None:
        self._until = 0.0

    def is_closed(self) -> bool:
        return time.monotonic() >= self._until

    def open(self) -> None:
        self._until = time.monotonic() + BREAKER_SECONDS

    def close(self) -> None:
        self._until = 0.0


class _Channel:
    """Connections of our own to the host's broker, impatient, used by one thread at a time; none crosses a fork."""

    def __init__(self) -> None:
        self._key: object = None
        self._idle: list[Producer] = []

    @contextlib.contextmanager
    def producer(self, app: Celery) -> Iterator[Producer]:
        """Lend a connected producer; one that failed is thrown away, with all that are idle."""
        key = (os.getpid(), id(app), app.conf.broker_write_url or app.conf.broker_url)
        if key != self._key:
            self._key, self._idle = key, []
        producer = self._take() or _connect(app)
        try:
            yield producer
        except BaseException:
            _close_quietly(producer)
            self.forget()
            raise
        if len(self._idle) < MAX_IDLE:
            self._idle.append(producer)
        else:
            _close_quietly(producer)

    def _take(self) -> Producer | None:
        try:
            return self._idle.pop()
        except IndexError:
            return None

    def forget(self) -> None:
        """Drop the idle connections: after an error nobody knows what is still in them."""
        idle, self._idle = self._idle, []
        for producer in idle:
            _close_quietly(producer)


def _connect(app: Celery) -> Producer:
    """Open a connection, in a thread that is not waited for: no timeout of a socket bounds the look-up of a name."""
    opened: list[Producer] = []
    failed: list[BaseException] = []

    def connect() -> None:
        try:
            producer = _open(app)
            producer.channel  # noqa: B018  connects
            opened.append(producer)
        except BaseException as error:  # noqa: BLE001  raised in the caller
            failed.append(error)

    helper = threading.Thread(target=connect, name="track360-broker", daemon=True)
    helper.start()
    helper.join(BROKER_TIMEOUT_SECONDS)
    if failed:
        raise failed[0]
    if not opened:
        msg = "the broker could not be reached in time"
        raise TimeoutError(msg)
    return opened[0]


def _open(app: Celery) -> Producer:
    options: dict[str, Any] = {
        **(app.conf.broker_transport_options or {}),
        "socket_timeout": BROKER_TIMEOUT_SECONDS,
        "socket_connect_timeout": BROKER_TIMEOUT_SECONDS,
        "retry_on_timeout": False,
        "max_retries": 0,
    }
    connection: Connection = app.connection_for_write(
        connect_timeout=BROKER_TIMEOUT_SECONDS, transport_options=options
    )
    return app.amqp.Producer(connection, auto_declare=False)


def _close_quietly(producer: Producer) -> None:
    try:
        if producer.connection is not None:
            producer.connection.collapse()  # type: ignore[attr-defined]  # in kombu, not in its types
    except Exception:  # noqa: BLE001  the connection is being thrown away
        logger.debug("track360: a broken broker connection did not close cleanly.")


_breaker = _Breaker()
_channel = _Channel()
