"""
Columns and indexes that behave the same on every database: text that is stored and compared exactly.

Migrations import these classes, so they must stay here.
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

    # Generic only in Django's type stubs: the type that is assigned, and the type that is read.
    _CharField = models.CharField[str | models.expressions.Combinable, str]
    _TextField = models.TextField[str | models.expressions.Combinable, str]
else:
    _CharField = models.CharField
    _TextField = models.TextField


# Note [Exact text]
# Unless the column says otherwise, MySQL and MariaDB ignore case, accents and spaces at the end when they compare text.
# A database with the character set latin1 or utf8mb3 can't store emoji. With a unique key, two customers would become
# one, and two deposits would become one. The collations named here compare byte by byte and keep spaces; they also set
# the character set utf8mb4. Every text column has one, because columns with different collations can't be joined.


def exact_collation(connection: BaseDatabaseWrapper) -> str | None:
    """Return the collation that an exact text column needs; None on databases that compare text exactly anyway."""
    if connection.vendor != "mysql":
        return None
    return "utf8mb4_nopad_bin" if getattr(connection, "mysql_is_mariadb", False) else "utf8mb4_0900_bin"


class ExactCharField(_CharField):
    """A `CharField` that is stored and compared exactly on every database, see Note [Exact text]."""

    def db_parameters(self, connection: BaseDatabaseWrapper) -> Any:
        """Return type and collation of the column."""
        return _exact(super().db_parameters(connection), connection)


class ExactTextField(_TextField):
    """A `TextField` that is stored and compared exactly on every database, see Note [Exact text]."""

    def db_parameters(self, connection: BaseDatabaseWrapper) -> Any:
        """Return type and collation of the column."""
        return _exact(super().db_parameters(connection), connection)


def _exact(parameters: Any, connection: BaseDatabaseWrapper) -> Any:
    return {**parameters, "collation": exact_collation(connection) or parameters.get("collation")}


class PartialIndex(models.Index):
    """
    An index of the rows that meet a condition. On MySQL and MariaDB, which have no partial indexes, it has all rows.

    Django's own `condition` would do the same, but with a warning (models.W037) at each start, which the host can't
    avoid.
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
        """Return the statement that creates the index."""
        index = copy.copy(self)
        index.condition = self.where if schema_editor.connection.features.supports_partial_indexes else None
        return super(PartialIndex, index).create_sql(model, schema_editor, using=using, **options)

    def deconstruct(self) -> tuple[str, Any, dict[str, Any]]:
        """Return what a migration stores."""
        path, expressions, options = super().deconstruct()
        return path, expressions, {**options, "where": self.where}
