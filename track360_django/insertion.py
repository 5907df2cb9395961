"""Inserting rows that may be there already, without losing anything else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from django.db import connections
from django.db.models import Model

M = TypeVar("M", bound=Model)


def insert_missing(
    rows: Sequence[M], *, using: str, batch_size: int | None = None, unchanged: str = "brand"
) -> None:
    """
    Insert rows, leaving alone those whose unique key is in the table already.

    Any other error is raised. That is why MySQL gets an update that changes nothing: its INSERT IGNORE cuts text that
    is too long, replaces characters it does not know, and drops rows whose customer is gone, all without an error.
    `unchanged` names a column in which two rows with the same key do not differ, or may.

    Raises:
        DatabaseError: A row can't be kept as it is. Within a transaction nothing was written.
    """
    if not rows:
        return
    table = type(rows[0])._default_manager.using(using)
    if connections[using].vendor == "mysql":
        table.bulk_create(rows, batch_size=batch_size, update_conflicts=True, update_fields=[unchanged])
    else:
        table.bulk_create(rows, batch_size=batch_size, ignore_conflicts=True)
