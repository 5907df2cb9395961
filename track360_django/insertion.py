"""Inserting rows that may be there already, without losing anything else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from django.db import connections
from django.db.models import Model
from django.db.models.constants import OnConflict
from django.db.models.expressions import DatabaseDefault

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


def insert_new(row: Model, *, using: str) -> bool | None:
    """
    Insert one row unless its unique key is in the table already, in one statement; tell whether it was inserted.

    Returns:
        None on a database that can't tell: nothing was done.
    """
    connection = connections[using]
    if connection.vendor == "mysql":
        return None
    fields = [field for field in row._meta.local_concrete_fields if not field.primary_key]
    prepared = {field: field.pre_save(row, add=True) for field in fields}
    # Where the database has a default and the row no value, the database decides.
    given = {field: value for field, value in prepared.items() if not isinstance(value, DatabaseDefault)}
    quote = connection.ops.quote_name
    columns = ", ".join(quote(field.column) for field in given)
    marks = ", ".join("%s" for _ in given)
    statement = connection.ops.insert_statement(on_conflict=OnConflict.IGNORE)
    suffix: str = connection.ops.on_conflict_suffix_sql(list(given), OnConflict.IGNORE, [], [])
    sql = f"{statement} {quote(row._meta.db_table)} ({columns}) VALUES ({marks}) {suffix}"
    with connection.cursor() as cursor:
        cursor.execute(sql, [field.get_db_prep_save(value, connection) for field, value in given.items()])
        return bool(cursor.rowcount)
