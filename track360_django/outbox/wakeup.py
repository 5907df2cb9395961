"""
The wake-up: after a commit, one hint without data goes through Celery's broker. It may fail, because the sweep comes
anyway.

Commits that follow each other closely share one hint (`doorbell`).

This module names the task and does not import it. Only this module and `tasks` use Celery.
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
# A broker that is down, paused or gone costs each process at most this timeout, once in `BREAKER_SECONDS`.
BROKER_TIMEOUT_SECONDS: Final = 0.25
BREAKER_SECONDS: Final = 30.0
# Without this limit, a queue without a worker grows for ever. The limit is wide, because Celery compares it with the
# worker's own clock: with a narrow limit, a worker with a clock an hour ahead would discard every hint and every sweep.
EXPIRES_SECONDS: Final = 7_200
# A worker that is woken takes its last look for records no earlier than `LINGER_SECONDS` after it began. So for a
# shorter time after a hint, `QUIET_SECONDS`, a process does not even ask whether another hint is needed: the last look
# sees what it commits in that time.
LINGER_SECONDS: Final = 0.03
QUIET_SECONDS: Final = 0.02
# The number of connections kept for the next hint. More threads than this rarely publish at the same time.
MAX_IDLE: Final = 4
# How many of a transaction's last callbacks are searched for our own. A second hint is harmless, a long search is not.
_SEARCH: Final = 64


def after_commit(*, using: str) -> None:
    """Wake delivery once when the current transaction commits; without a transaction, wake it immediately."""
    connection = connections[using]
    call = _call_of(using)
    if connection.in_atomic_block and any(entry[1] is call for entry in connection.run_on_commit[-_SEARCH:]):
        # A savepoint that is rolled back removes its callbacks. So the list itself shows what is still registered.
        return
    transaction.on_commit(call, using=using, robust=True)


def _take_back(using: str) -> None:
    """Leave the bell unrung when no broker took the hint: another process may have more luck."""
    from track360_django.outbox import doorbell  # noqa: PLC0415  `tasks` imports this module from a settings file

    with contextlib.suppress(DatabaseError, InterfaceError):
        doorbell.answer(using=using)


@functools.cache
def _call_of(using: str) -> Callable[[], None]:
    """Return the one callback of a database. `after_commit` recognises it, because it is always the same object."""
    quiet_until = 0.0

    def call() -> None:
        nonlocal quiet_until
        if time.monotonic() < quiet_until or not _may_publish():
            return
        if app_or_default().conf.task_always_eager:
            wake()
            return
        # Taken before the doorbell is rung: the worker that is woken begins later, and looks again after
        # `LINGER_SECONDS`.
        begun = time.monotonic()
        if not _is_wake_up_needed(using) or wake():
            quiet_until = begun + QUIET_SECONDS
        else:
            _take_back(using)

    return call


def _is_wake_up_needed(using: str) -> bool:
    from track360_django.outbox import doorbell  # noqa: PLC0415  `tasks` imports this module from a settings file

    try:
        return doorbell.ring(using=using)
    except (DatabaseError, InterfaceError) as error:
        # The commit is done, and an unnecessary hint does no harm.
        logger.warning(
            "track360: could not ring the doorbell (%s); the wake-up is published anyway.",
            type(error).__name__,
        )
        return True


def wake() -> bool:
    """
    Publish the hint now. Return whether the broker took it.

    Never raises. If the broker is in trouble, this waits at most a quarter of a second, once in 30 seconds.
    """
    if not _may_publish():
        return False
    try:
        _publish(app_or_default())
    except Exception as error:  # noqa: BLE001  kombu's transports raise whatever their libraries do
        _breaker.open()
        logger.warning(
            "track360: could not publish a wake-up to Celery's broker (%s). Records wait for the sweep. This process "
            "publishes no other wake-up for %d seconds.",
            type(error).__name__,
            BREAKER_SECONDS,
        )
        return False
    return True


def reset() -> None:
    """Forget everything that this process knows about the broker, so that the next hint tries it again."""
    _breaker.close()
    _channel.forget()
    _call_of.cache_clear()


def _may_publish() -> bool:
    return bool(conf.brands_on()) and _breaker.is_closed()


def _publish(app: Celery) -> None:
    if app.conf.task_always_eager:
        # The host's development settings ask for this: the task runs here and now.
        app.tasks[DELIVER].apply()
        return
    with _channel.producer(app) as producer:
        app.send_task(
            DELIVER,
            producer=producer,
            ignore_result=True,
            expires=EXPIRES_SECONDS,
            retry=True,
            # Not `retry=False`: with it, kombu itself would still wait for six seconds.
            retry_policy={"max_retries": 0, "interval_start": 0, "interval_step": 0, "interval_max": 0},
        )


class _Breaker:
    """Stops this process from using the broker for a while after an error."""

    def __init__(self) -> None:
        self._until = 0.0

    def is_closed(self) -> bool:
        return time.monotonic() >= self._until

    def open(self) -> None:
        self._until = time.monotonic() + BREAKER_SECONDS

    def close(self) -> None:
        self._until = 0.0


class _Channel:
    """
    Our own connections to the host's broker, with short timeouts.

    One thread at a time uses a connection, and no connection is used after a fork.
    """

    def __init__(self) -> None:
        self._key: object = None
        self._idle: list[Producer] = []

    @contextlib.contextmanager
    def producer(self, app: Celery) -> Iterator[Producer]:
        """Yield a connected producer. After an error, close it and all idle producers."""
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
        """Close the idle connections. After an error it is unknown what is still in them."""
        idle, self._idle = self._idle, []
        for producer in idle:
            _close_quietly(producer)


def _connect(app: Celery) -> Producer:
    """
    Return a producer with an open connection.

    The connection is opened in a separate thread, because no socket timeout limits the look-up of a host name. If that
    thread takes too long, it is not waited for.
    """
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
        logger.debug("track360: a connection to the broker did not close cleanly.")


_breaker = _Breaker()
_channel = _Channel()
