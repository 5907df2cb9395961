"""What the story does in the host's database: it reads the truth, lets time pass, requeues, drains and looks."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection, transaction
from django.db.models import F, Q
from django.db.models.functions import Now

from tests.faults.invariants import Look, Row
from tests.faults.truth import Effect, Host
from track360_django.models import Activity, Customer, Endpoint, Lane, Status

ROUNDS: Final = 12


def migrate() -> None:
    """Make the tables."""
    call_command("migrate", verbosity=0)


@contextlib.contextmanager
def fresh_connection() -> Iterator[None]:
    """Use a connection of its own: the server may have been restarted since the last one."""
    connection.close()
    yield
    connection.close()


def let_time_pass() -> None:
    """Make due what waits and end pauses and the leases of dead workers, as if the hours had passed."""
    with fresh_connection(), transaction.atomic():
        for model in (Customer, Activity):
            waiting = model._default_manager.filter(due_at__gt=Now())
            if connection.features.has_select_for_update_skip_locked:
                waiting = waiting.select_for_update(skip_locked=True)
            pks = list(waiting.values_list("pk", flat=True))
            model._default_manager.filter(pk__in=pks).update(due_at=Now())
        Endpoint.objects.filter(paused_until__gt=Now()).update(paused_until=Now())
    with fresh_connection():
        for lane in Lane.objects.exclude(owner=""):
            if not is_alive(lane.owner):
                _expire(Q(pk=lane.pk, owner=lane.owner))


def is_alive(owner: str) -> bool:
    """Tell whether the process that took a lane lives."""
    pid = int(owner.split(":")[1])
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def expire_leases() -> None:
    """Let the minute pass after which the lane of a dead worker is free; no worker may be alive."""
    with fresh_connection():
        _expire(Q(leased_until__isnull=False))


def _expire(which: Q) -> None:
    Lane.objects.filter(which).update(leased_until=Now() - timedelta(seconds=1))


def look() -> Iterator[Look]:
    """Yield what `track360 status` says beside what the tables say; nothing when that is a matter of opinion."""
    with fresh_connection():
        is_paused = Endpoint.objects.filter(paused_until__gt=Now()).exists()
        is_probing = Endpoint.objects.filter(paused_until__lte=Now()).exists()
        has_dead = any(
            model._default_manager.filter(status=Status.DEAD).exists() for model in (Customer, Activity)
        )
        if not is_probing or has_dead:
            yield Look(exit_code=run("status"), is_in_trouble=is_paused or has_dead)


def drain() -> list[str]:
    """
    Reconcile, resume, requeue and deliver as an operator would, until nothing waits.

    Returns:
        What can't be driven.
    """
    undriven: list[str] = []
    with fresh_connection():
        # A producer that died behind a signup in autocommit left a user: that needs a person.
        if run("reconcile", "--since", "1d") != has_unreported_user():
            undriven.append("`track360 reconcile` failed")
    for _ in range(ROUNDS):
        let_time_pass()
        with fresh_connection():
            run("resume")
            if run("requeue", "--all"):
                undriven.append("`track360 requeue --all` failed")
            run("deliver")
            if not any(
                model._default_manager.exclude(status=Status.DELIVERED).exists()
                for model in (Customer, Activity)
            ):
                break
    return undriven


def has_unreported_user() -> bool:
    """Return whether there is a user who is no customer."""
    from django.contrib.auth.models import User

    known = set(Customer.objects.values_list("customer_id", flat=True))
    return any(str(pk) not in known for pk in User.objects.values_list("pk", flat=True))


def run(*words: str) -> int:
    """Run a subcommand; return its exit code."""
    try:
        call_command("track360", *words, stdout=io.StringIO(), stderr=io.StringIO())
    except CommandError as error:
        return error.returncode
    return 0


def rows() -> list[Row]:
    """Return all records as they are."""
    with fresh_connection():
        return [
            *(
                Row(key=(row.customer_id,), status=row.status, reason=row.reason)
                for row in Customer.objects.all()
            ),
            *(
                Row(key=(row.eventname, row.eventid), status=row.status, reason=row.reason)
                for row in Activity.objects.all()
            ),
        ]


def error_columns() -> str:
    """Return whatever the tables say of faults, in one text."""
    with fresh_connection():
        lines = [
            f"{model.__name__} {reason} {error}"
            for model in (Customer, Activity, Endpoint)
            for reason, error in model._default_manager.exclude(error="").values_list("reason", "error")
        ]
    return "\n".join(lines)


def host() -> Host:
    """Return how to ask the host's tables about a doubt."""
    from django.contrib.auth.models import User
    from django.contrib.sessions.models import Session

    from example_project.cashier.models import Deposit

    def has_effect(effect: Effect) -> bool:
        customer = Customer.objects.filter(customer_id=effect["customer_id"])
        match effect["kind"]:
            case "signup":
                return customer.filter(source="report").exists()
            case "update":
                return customer.filter(**{f"fields__{effect['field']}": effect["value"]}).exists()
        return Activity.objects.filter(eventname=effect["eventname"], eventid=effect["eventid"]).exists()

    def has_row(effect: Effect) -> bool:
        match effect["kind"]:
            case "signup":
                return User.objects.filter(pk=effect["customer_id"]).exists()
            case "activity":
                return Deposit.objects.filter(reference=effect["eventid"]).exists()
        return False

    return Host(
        has_witness=lambda op: Session.objects.filter(session_key=op).exists(),
        has_effect=has_effect,
        has_row=has_row,
    )


def versions_behind() -> int:
    """Return how many customers Track360 has in an older version than the table."""
    with fresh_connection():
        return Customer.objects.filter(accepted_version__lt=F("version")).count()
