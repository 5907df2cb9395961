"""The database's clock: every time that decides something is created and compared by this clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.db import connections
from django.db.models import Value
from django.db.models.functions import Now as DjangoNow
from django.db.models.sql import Query

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper
    from django.db.models.expressions import Combinable
    from django.db.models.sql.compiler import SQLCompiler


class Now(DjangoNow):
    """
    The present time by the database's clock.

    On MySQL and MariaDB, Django's own `Now` is the local time of the session, and is read as UTC. On a server that is
    not set to UTC, every time would be wrong by hours, and in the night the clocks change a lease would last an hour
    longer.
    """

    def as_mysql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **context: Any) -> Any:
        """Return the SQL for the time in UTC, to the microsecond."""
        return self.as_sql(compiler, connection, template="UTC_TIMESTAMP(6)", **context)


def from_now(wait: timedelta) -> Combinable:
    """Return a time from now by the database's clock."""
    return Now() + Value(wait)


def sql_of(time: Any, using: str) -> tuple[str, tuple[Any, ...]]:
    """Return the SQL and the parameters for a time by the database's clock, for a statement in plain SQL."""
    query = Query(None)
    compiler = query.get_compiler(using)
    sql, params = compiler.compile(time.resolve_expression(query))
    return sql, tuple(params)


def read(using: str) -> datetime:
    """Return the present time by the database's clock. This costs one query."""
    sql, params = sql_of(Now(), using)
    with connections[using].cursor() as cursor:
        cursor.execute(f"SELECT {sql}", params)
        (value,) = cursor.fetchone()
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
