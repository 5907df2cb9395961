"""Inserting rows that may exist already, without losing any other error or row."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeVar

from django.db import connections, transaction
from django.db.models import Model
from django.db.models.constants import OnConflict
from django.db.models.expressions import DatabaseDefault

# From this number of rows on, rows are inserted without the ORM's work for each row.
MANY: Final = 50
MANY_AT_ONCE: Final = 1000
M = TypeVar("M", bound=Model)


def insert_missing(
    rows: Sequence[M], *, using: str, batch_size: int | None = None, unchanged: str = "brand"
) -> None:
    """
    Insert rows. A row that is in the table already, by its unique key, is not changed.

    Any other error is raised. For this reason MySQL executes an update that changes nothing: its INSERT IGNORE cuts
    text that is too long, replaces unknown characters, and drops rows of a customer that does not exist any more, all
    without an error. `unchanged` names the column for this update: one that is the same in two rows with the same key,
    or one that may change.

    Raises:
        DatabaseError: A row can't be stored as it is. Within a transaction, nothing was written.
    """
    if not rows:
        return
    table = type(rows[0])._default_manager.using(using)
    if connections[using].vendor == "mysql":
        table.bulk_create(rows, batch_size=batch_size, update_conflicts=True, update_fields=[unchanged])
    elif len(rows) >= MANY:
        _insert_many(rows, using)
    else:
        table.bulk_create(rows, batch_size=batch_size, ignore_conflicts=True)


def _insert_many(rows: Sequence[Model], using: str) -> None:
    """
    Insert rows without the ORM's work for each row, which is half the cost of a thousand rows.

    Rows share a statement if they leave the same columns to the database and have the same constants.
    """
    connection = connections[using]
    fields = [field for field in rows[0]._meta.local_concrete_fields if not field.primary_key]
    groups: dict[tuple[tuple[str, str], ...], list[list[Any]]] = {}
    for row in rows:
        given = [
            (field, value)
            for field in fields
            if not isinstance(value := row.__dict__[field.attname], DatabaseDefault)
        ]
        marks = tuple((str(field.column), _mark(value)) for field, value in given)
        values = [
            value if type(value) in {str, int} else field.get_db_prep_save(value, connection)
            for (field, value), (_, mark) in zip(given, marks, strict=True)
            if mark == "%s"
        ]
        groups.setdefault(marks, []).append(values)
    with transaction.atomic(using=using, savepoint=False), connection.cursor() as cursor:
        for marks, each in groups.items():
            _execute_many(cursor, type(rows[0]), marks, each, using)
    for row in rows:
        row._state.adding, row._state.db = False, using


def _execute_many(
    cursor: Any, model: type[Model], marks: tuple[tuple[str, str], ...], rows: list[list[Any]], using: str
) -> None:
    operations, most = connections[using].ops, connections[using].features.max_query_params
    suffix = operations.on_conflict_suffix_sql([], OnConflict.IGNORE, [], [])
    columns = ", ".join(operations.quote_name(column) for column, _ in marks)
    insert = f"{operations.insert_statement(on_conflict=OnConflict.IGNORE)} {model._meta.db_table} ({columns}) VALUES"
    each = f"({', '.join(mark for _, mark in marks)})"
    step = max(most // max(len(rows[0]), 1), 1) if most else MANY_AT_ONCE
    for start in range(0, len(rows), step):
        chunk = rows[start : start + step]
        cursor.execute(
            f"{insert} {', '.join([each] * len(chunk))} {suffix}", [value for row in chunk for value in row]
        )


def insert_beside(
    row: Model, *, parent: type[Model], key: Mapping[str, Any], taken: Mapping[str, str], using: str
) -> bool:
    """
    Insert one row with some columns from a row of another table, in one statement and without the ORM's work.

    Args:
        row: The row to insert. A column without a value gets the database's default.
        parent: The other table.
        key: Identifies the row of the other table.
        taken: Maps a column of the new row to an expression of columns of the other row.
        using: Alias of the database.

    Returns:
        False if nothing was inserted: there is no such parent, the row's unique key is in the table already, or the
        database is MySQL, which does not report this.
    """
    connection = connections[using]
    if connection.vendor == "mysql":
        return False
    given = {
        column: value
        for attname, column in _columns(type(row))
        # A column that is left out gets the database's default.
        if (value := row.__dict__.get(attname)) is not None
        and not isinstance(value, DatabaseDefault)
        and column not in taken
    }
    # Parameters are expensive, so values that are the same in nearly all rows are part of the statement.
    marks = {column: _mark(value) for column, value in given.items()}
    sql = _statement(using, type(row), parent, tuple(marks.items()), tuple(taken.items()), tuple(key))
    values = [value for column, value in given.items() if marks[column] == "%s"]
    with connection.cursor() as cursor:
        cursor.execute(sql, [*values, *key.values()])
        return bool(cursor.rowcount == 1)


@functools.cache
def _columns(model: type[Model]) -> list[tuple[str, str]]:
    fields = [field for field in model._meta.local_concrete_fields if not field.primary_key]
    return [(field.attname, str(field.column)) for field in fields]


def _mark(value: object) -> str:
    if value is None:
        return "NULL"
    if type(value) is str and value == "":
        return "''"
    return str(value) if type(value) is int and value in {0, 1} else "%s"


@functools.lru_cache(maxsize=64)
def _statement(  # noqa: PLR0913, PLR0917  the parts of one statement
    using: str,
    model: type[Model],
    parent: type[Model],
    marks: tuple[tuple[str, str], ...],
    taken: tuple[tuple[str, str], ...],
    key: tuple[str, ...],
) -> str:
    operations = connections[using].ops
    statement: str = operations.insert_statement(on_conflict=OnConflict.IGNORE)
    suffix = operations.on_conflict_suffix_sql([], OnConflict.IGNORE, [], [])
    columns, values = zip(*marks, *taken, strict=True)
    return (
        f"{statement} {model._meta.db_table} ({', '.join(columns)}) "  # noqa: S608  names of our own columns
        f"SELECT {', '.join(values)} FROM {parent._meta.db_table} "
        f"WHERE {' AND '.join(f'{column} = %s' for column in key)} {suffix}"
    )
