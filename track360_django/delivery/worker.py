"""
The worker: take a lane, send its customers, then some pages of its activities, again until nothing is due or the time
is up. What happens at one endpoint of one lane is in `sender`.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from django.db import DatabaseError, InterfaceError, connections

from track360_django import conf
from track360_django.delivery import outcomes
from track360_django.delivery.sender import Report, Sender
from track360_django.models import Activity, Customer, EndpointName, Status
from track360_django.outbox import alerts, aliases, doorbell, lanes, settlement
from track360_django.outbox.lanes import LeaseLostError, Taken

logger = logging.getLogger(__name__)

BUDGET_SECONDS: Final = 20.0
# After this many pages of activities, the worker looks for customers again: a signup must not wait behind a backlog.
PAGES: Final = 2
# More threads than any worker needs. Each thread has its own connection to the database.
MAX_THREADS: Final = 64


def drain(
    *,
    budget_seconds: float = BUDGET_SECONDS,
    using: str = "",
    on_backlog: Callable[[], object] | None = None,
    linger_seconds: float = 0.0,
    brands: Sequence[str] | None = None,
) -> Report:
    """
    Deliver due records, lane by lane, until no record is due or the budget is used up.

    If there is a backlog, `CONCURRENCY` threads deliver it. Each has its own lane and its own database connection.

    Args:
        budget_seconds: After this time no new page is begun. A page that was begun is finished.
        using: Alias of the database; default: home, then each database that `DATABASES` lists.
        on_backlog: Called once if there is more than one batch, to call another worker.
        linger_seconds: The last look for due records is no earlier than this time after the first one.
        brands: Deliver only for these brands; default: all. A brand that is off or not configured is never delivered.

    Returns:
        Counts of what was done. Errors of the network or of Track360 are written to the tables and raise nothing.

    Raises:
        DatabaseError, InterfaceError: A database can't be used. Raised after the other databases were drained.

    Source: none, our choice: the API guide asks for pushes "as they occur" and names no order.
    """
    wanted = [
        brand
        for brand in conf.brands()
        if conf.for_brand(brand).ENABLED and (brands is None or brand in brands)
    ]
    if not wanted:
        return Report()
    places = (using,) if using else aliases.all_known()
    report = Report()
    failure: Exception | None = None
    for alias in places:
        crew = _Crew(brands=wanted, using=alias, linger_seconds=linger_seconds, on_backlog=on_backlog)
        try:
            # Each has its part of the time: none waits for ever behind the backlog of another one.
            crew.work(budget_seconds / len(places))
        except (DatabaseError, InterfaceError) as error:
            logger.warning(
                "track360: could not deliver from the database %r (%s).", alias, type(error).__name__
            )
            failure = failure or error
        report.add(crew.report)
    if failure is not None:
        raise failure
    return report


@dataclass(kw_only=True)
class _Crew:
    """The threads of one drain: the caller's thread and, with a backlog, more threads."""

    brands: Sequence[str]
    using: str
    linger_seconds: float
    on_backlog: Callable[[], object] | None
    deadline: float = 0.0
    last_look: float = 0.0
    report: Report = field(default_factory=Report)
    others: list[_Helper] = field(default_factory=list)
    has_backlog: bool = False

    def work(self, budget_seconds: float) -> None:
        """Deliver in this thread and, with a backlog, in more threads. `report` counts what all of them did."""
        doorbell.answer(using=self.using)
        # The time counts from now on, because answering the doorbell may have opened a connection.
        self.deadline = time.monotonic() + budget_seconds
        self.last_look = time.monotonic() + self.linger_seconds
        try:
            _deliver_lanes(self, self.report, on_backlog=self._call_others)
        finally:
            for helper in self.others:
                helper.join()
                self.report.add(helper.report)

    def _call_others(self) -> None:
        """Start more threads of this process for a backlog, and call another worker."""
        if self.has_backlog:
            return
        self.has_backlog = True
        if self.on_backlog is not None:
            self.on_backlog()
        if connections[self.using].in_atomic_block:
            # Other connections would not see what this transaction wrote.
            return
        threads = max(conf.for_brand(brand).CONCURRENCY for brand in self.brands)
        for _ in range(min(threads, MAX_THREADS) - 1):
            helper = _Helper(self)
            try:
                helper.start()
            except RuntimeError:
                logger.warning(
                    "track360: could not start another thread; delivery goes on with fewer threads."
                )
                return
            self.others.append(helper)


class _Helper(threading.Thread):
    """A thread that takes its own lanes and has its own database connections."""

    def __init__(self, crew: _Crew) -> None:
        super().__init__(name="track360-delivery", daemon=True)
        self.crew = crew
        self.report = Report()

    def run(self) -> None:
        """
        Deliver until no lane is free.

        An error is logged, and the lane's batches become narrower, as in any worker.
        """
        try:
            _deliver_lanes(self.crew, self.report, on_backlog=lambda: None)
        except Exception:
            logger.exception("track360: a delivery thread failed; its lane is free for the next worker.")
        finally:
            connections.close_all()


def _deliver_lanes(crew: _Crew, report: Report, *, on_backlog: Callable[[], None]) -> None:
    """Take lane after lane, until no lane has due records or the time is up."""
    unmoved: set[int] = set()
    has_looked = False
    while time.monotonic() < crew.deadline:
        lane = lanes.take(crew.brands, owner=_owner(), using=crew.using, without=unmoved)
        if lane is not None:
            if not _work(lane, crew.deadline, report, on_backlog):
                unmoved.add(lane.pk)
        elif (wait := crew.last_look - time.monotonic()) > 0:
            time.sleep(wait)
        elif has_looked or not lanes.ensure_lanes(crew.brands, using=crew.using):
            return
        else:
            has_looked = True
    report.is_finished = False


def _owner() -> str:
    """Return a new unique name for the owner of a lane. It shows a person where the worker ran."""
    return f"{socket.gethostname()[:20]}:{os.getpid()}:{uuid.uuid4().hex[:12]}"


def _work(lane: Taken, deadline: float, report: Report, on_backlog: Callable[[], None]) -> bool:
    """
    Deliver one lane, customers before activities, until nothing more can be delivered now.

    Returns:
        Whether any record was settled.
    """
    customers, activities = (
        Sender(lane=lane, name=name, report=report, on_backlog=on_backlog) for name in EndpointName
    )
    try:
        _bury_suspect(lane)
        is_more = True
        while is_more and time.monotonic() < deadline:
            is_more = lane.has_customers and customers.work(deadline, pages=PAGES)
            if lane.has_activities or customers.settled:
                is_more = activities.work(deadline, pages=PAGES) or is_more
            # It is known what was due when the lane was taken. From now on, anything may be due.
            lane.has_customers = lane.has_activities = True
        _leave(lane, customers, activities, is_drained=not is_more)
    except LeaseLostError:
        logger.warning(
            "track360: lane %s of brand %s has another owner; this worker leaves it.", lane.number, lane.brand
        )
    except Exception:
        # Whatever the error is, free the lane for the next worker, with narrower batches. If one record is the cause,
        # it will be found when it is sent alone.
        with contextlib.suppress(DatabaseError, InterfaceError):
            lanes.give_up(lane)
        raise
    return bool(customers.settled or activities.settled)


def _leave(lane: Taken, *senders: Sender, is_drained: bool) -> None:
    if any(each.is_blocked for each in senders):
        lanes.rest(lane)
    else:
        lanes.give_back(lane, is_drained=is_drained)


def _bury_suspect(lane: Taken) -> None:
    """Mark as dead the single record that was under way each time a worker of this lane died."""
    suspect = lanes.suspect_of(lane)
    if suspect is None:
        return
    name, pk = suspect
    model = _model_of(name)
    record = model._default_manager.using(lane.using).filter(pk=pk).exclude(status=Status.DELIVERED).first()
    if record is not None:
        dead = outcomes.killer(record)
        settlement.settle(model, lane, [dead])
        alerts.record_dead(model, brand=lane.brand, pk=record.pk, name=str(record), reason=dead.reason)
    lanes.clear(lane)


def _model_of(name: EndpointName) -> type[Customer | Activity]:
    return Customer if name is EndpointName.CUSTOMERS else Activity
