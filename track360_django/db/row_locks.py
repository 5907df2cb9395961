"""
Row locks: a worker that settles never waits long for a transaction of the host with other rows in hand.

The host may be waiting for one of those, and of two who wait for each other the database makes one fail: it may be
the host.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from django.db import connections
from django.db.models import Model, QuerySet

from track360_django.db.lookups import is_among

# Far below the second after which Postgres looks for a deadlock.
BRIEFLY: Final = "50ms"


def wait_briefly(using: str) -> bool:
    """
    Make the current transaction give up a row that is held by another one for more than a moment.

    Returns:
        False where the database has no such limit for one transaction; True also where it has no row locks.
    """
    connection = connections[using]
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            # Of this transaction alone: nothing of it stays in the session.
            cursor.execute(f"SET LOCAL lock_timeout = '{BRIEFLY}'")
        return True
    return not connection.features.has_select_for_update


def find_locked(model: type[Model], pks: Sequence[int], *, using: str) -> set[int]:
    """Lock those of some rows that nobody else holds; return the others. What was deleted is held by nobody."""
    if not connections[using].features.has_select_for_update_skip_locked or not pks:
        return set()
    free = set(_unlocked(model, pks, using).values_list("pk", flat=True))
    others = set(pks) - free
    if not others:
        return others
    known = model._default_manager.using(using).filter(is_among("pk", others))
    return set(known.values_list("pk", flat=True))


def _unlocked(model: type[Model], pks: Sequence[int], using: str) -> QuerySet[Any]:
    """
    Return the rows that nobody else holds, locked when they are read.

    Where the database has it, by the weaker lock: it lets those pass who only refer to the row, such as a table of the
    host with a foreign key to ours.
    """
    no_key = connections[using].features.has_select_for_no_key_update
    rows = model._default_manager.using(using).select_for_update(skip_locked=True, no_key=no_key)
    return rows.filter(is_among("pk", pks))
