"""
Databases: which of the host's have our tables. A record is written beside the row it reports, in the same transaction.

Where a host has one database, all of this is that one.
"""

from __future__ import annotations

import logging
import time
from typing import Final

from django.apps import apps
from django.db import connections, router
from django.db.models import Model

from track360_django.models import Activity, Customer

logger = logging.getLogger(__name__)

# How long it is believed that a database has our tables, or has none: a migration may change it.
BELIEVED_SECONDS: Final = 60.0


def home() -> str:
    """Return the alias that the host's routers write customers to."""
    return router.db_for_write(Customer)


def of(row: Model) -> str:
    """
    Return the alias for the record of a row of the host: where that row is, if our tables are there too.

    Source: none, our choice: only there do row and record commit together.
    """
    if row._state.db is None or len(connections.settings) == 1:
        return home()
    alias = router.db_for_write(Activity, instance=row)
    return alias if alias in all_known() else home()


def all_known() -> tuple[str, ...]:
    """Return the aliases of all databases with our tables, home first."""
    first = home()
    return (first, *(alias for alias in connections.settings if alias != first and _has_tables(alias)))


def _has_tables(alias: str) -> bool:
    now = time.monotonic()
    answer, asked = _believed.get(alias, (False, -BELIEVED_SECONDS))
    if now - asked >= BELIEVED_SECONDS:
        answer = _is_written_to(alias) and _find_table(alias)
        _believed[alias] = answer, now
    return answer


def _is_written_to(alias: str) -> bool:
    """Tell whether rows of the host may be written there: a replica has our tables too, and is none of ours."""
    if not router.allow_migrate_model(alias, Activity):
        return False
    return not router.routers or any(router.db_for_write(model) == alias for model in apps.get_models())


def _find_table(alias: str) -> bool:
    try:
        connection = connections[alias]
        with connection.cursor() as cursor:
            return Activity._meta.db_table in connection.introspection.table_names(cursor)
    except Exception as error:  # noqa: BLE001  another database of the host, about which we know nothing
        logger.debug("track360: the database %r was not looked at (%s).", alias, type(error).__name__)
        return False


def leave_alone(alias: str) -> None:
    """Take a database for one without our tables, for a while: it can't be written to."""
    _believed[alias] = False, time.monotonic()


def forget() -> None:
    """Look anew at the next question: for tests, and after a migration."""
    _believed.clear()


_believed: dict[str, tuple[bool, float]] = {}
