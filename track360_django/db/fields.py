"""
Columns and indexes that mean the same on every database: text that is kept and compared exactly.

Migrations name these classes: they stay where they are.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from django.db import models

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper
    from django.db.backends.base.schema import BaseDatabaseSchemaEditor
    from django.db.backends.ddl_references import Statement
    from django.db.models import Q

    # Generic in Django's types alone: what is assigned, what is read.
    _CharField = models.CharField[str | models.expressions.Combinable, str]
    _TextField = models.TextField[str | models.expressions.Combinable, str]
else:
    _CharField = models.CharField
    _TextField = models.TextField


# Note [Exact text]
# MySQL and MariaDB compare text without regard to case, accents and spaces at its end, unless the column says
# otherwise, and a database whose character set is latin1 or utf8mb3 has no emoji. For a unique key that would make
# one customer of two, and of two deposits one. The collations named here compare byte by byte and keep spaces; they
# bring the character set utf8mb4 with them. Every text column has one: columns with different ones can't be joined.


def exact_collation(connection: BaseDatabaseWrapper) -> str | None:
    """Return the collation that an exact text column needs; None where text is exact anyway."""
    if connection.vendor != "mysql":
        return None
    return "utf8mb4_nopad_bin" if getattr(connection, "mysql_is_mariadb", False) else "utf8mb4_0900_bin"


class ExactCharField(_CharField):
    """A `CharField` that is kept and compared exactly on every database, see Note [Exact text]."""

    def db_parameters(self, connection: BaseDatabaseWrapper) -> Any:
        """Return type and collation of the column."""
        return _exact(super().db_parameters(connection), connection)


class ExactTextField(_TextField):
    """A `TextField` that is kept and compared exactly on every database, see Note [Exact text]."""

    def db_parameters(self, connection: BaseDatabaseWrapper) -> Any:
        """Return type and collation of the column."""
        return _exact(super().db_parameters(connection), connection)


def _exact(parameters: Any, connection: BaseDatabaseWrapper) -> Any:
    return {**parameters, "collation": exact_collation(connection) or parameters.get("collation")}


class PartialIndex(models.Index):
    """
    An index of the rows that meet a condition; of all rows on MySQL and MariaDB, which have no other.

    Django's own `condition` would mean the same, with a warning (models.W037) at each start of a host that can do
    nothing about it.
    """

    def __init__(self, *expressions: Any, where: Q, **options: Any) -> None:
        super().__init__(*expressions, **options)
        self.where = where

    def create_sql(
        self,
        model: type[models.Model],
        schema_editor: BaseDatabaseSchemaEditor,
        using: str = "",
        **options: Any,
    ) -> Statement:
        """Return the statement that makes the index."""
        index = copy.copy(self)
        index.condition = self.where if schema_editor.connection.features.supports_partial_indexes else None
        return super(PartialIndex, index).create_sql(model, schema_editor, using=using, **options)

    def deconstruct(self) -> tuple[str, Any, dict[str, Any]]:
        """Return what a migration writes down."""
        path, expressions, options = super().deconstruct()
        return path, expressions, {**options, "where": self.where}
