"""
Row locks: a worker that settles records, and so has locked rows, never waits long for a transaction of the host.

The host may be waiting for one of these rows. If two transactions wait for each other, the database makes one of them
fail, and this may be the host's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from django.db import connections
from django.db.models import Model, QuerySet

from track360_django.db.lookups import is_among

# Far below one second, the time after which PostgreSQL checks for a deadlock.
BRIEFLY: Final = "50ms"


def wait_briefly(using: str) -> bool:
    """
    Make the current transaction fail if it has to wait more than a moment for a row that another one has locked.

    Returns:
        False if the database can't set such a limit for one transaction. True also if it has no row locks.
    """
    connection = connections[using]
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            # LOCAL limits this to the transaction: the session is not changed.
            cursor.execute(f"SET LOCAL lock_timeout = '{BRIEFLY}'")
        return True
    return not connection.features.has_select_for_update


def find_locked(model: type[Model], pks: Sequence[int], *, using: str) -> set[int]:
    """
    Lock those of some rows that no other transaction has locked.

    Returns:
        The primary keys of the rows that another transaction has locked, without rows that were deleted.
    """
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
    Return the rows that no other transaction has locked; reading them locks them.

    If the database has a weaker lock, it is used. It does not block transactions that only refer to the row, such as
    an insert into a table of the host with a foreign key to ours.
    """
    no_key = connections[using].features.has_select_for_no_key_update
    rows = model._default_manager.using(using).select_for_update(skip_locked=True, no_key=no_key)
    return rows.filter(is_among("pk", pks))
