"""
A manager for models with rows that are written in bulk: `bulk_create`, `bulk_update` and `update` report them, too.

    class Bet(models.Model):
        objects = ReportingManager()
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

from django.db import transaction
from django.db.models import Manager, Model, QuerySet

from track360_django import conf
from track360_django.activities.declarations import declarations_of, ledger, reversals
from track360_django.activities.declarations.rows import reverse_locked
from track360_django.activities.declarations.stored_values import all_rows
from track360_django.outbox import aliases

if TYPE_CHECKING:
    from track360_django.activities.declarations import ModelActivity

M = TypeVar("M", bound=Model)

# How many rows are read again in one query: SQLite allows at most a thousand parameters.
PAGE: Final = 500


class ReportingQuerySet(QuerySet[M]):
    """
    Reports rows that are written in bulk, as their declarations say, in the transaction that writes them.

    `update` keeps the primary keys of the changed rows in memory. If a declaration raises an error, the error is raised
    and nothing is written.

    Source: none, our choice: Django sends no signal for these.
    """

    def bulk_create(self, objs: Any, *args: Any, **kwargs: Any) -> list[M]:
        """
        Insert rows as Django does, and report them.

        If the database does not return a row's primary key (`ignore_conflicts`, MySQL), `track360 reconcile` reports it.
        """
        declared = self._declared()
        if not declared:
            return super().bulk_create(objs, *args, **kwargs)
        with transaction.atomic(using=self._alias(), savepoint=False):
            created = super().bulk_create(objs, *args, **kwargs)
            self._report(declared, [row.pk for row in created if row.pk is not None])
        return created

    def update(self, **kwargs: Any) -> int:
        """Update rows as Django does, and report their new values; `bulk_update` calls this, too."""
        declared = self._declared()
        if not declared:
            return super().update(**kwargs)
        with transaction.atomic(using=self._alias(), savepoint=False):
            # Before the change: after it, the rows may no longer match this queryset's own conditions.
            pks = list(self.using(self._alias()).order_by().values_list("pk", flat=True))
            count = super().update(**kwargs)
            self._report(declared, pks)
        return count

    update.alters_data = True  # type: ignore[attr-defined]  # as Django marks its own
    bulk_create.alters_data = True  # type: ignore[attr-defined]

    def _declared(self) -> list[ModelActivity]:
        return list(declarations_of(self.model)) if conf.brands_on() else []

    def _alias(self) -> str:
        self._for_write = True
        return self.db

    def _report(self, declared: Sequence[ModelActivity], pks: Sequence[Any]) -> None:
        for declaration in declared:
            for start in range(0, len(pks), PAGE):
                _report_page(
                    declaration, self._pks_for(declaration, pks[start : start + PAGE]), self._alias()
                )

    def _pks_for(self, declaration: ModelActivity, pks: Sequence[Any]) -> Sequence[Any]:
        """Return the primary keys of rows in the declared table: a multi-table child may have its own keys."""
        parent = declaration.model._meta
        if parent.concrete_model is self.model._meta.concrete_model:
            return pks
        rows = self.model._base_manager.using(self._alias()).filter(pk__in=pks)
        return list(rows.values_list(parent.pk.name, flat=True))


def _report_page(declaration: ModelActivity, pks: Sequence[Any], alias: str) -> None:
    """Report the present state of some rows: those that are due, and those that are no longer due."""
    due = list(ledger.related(declaration, declaration.due_rows(alias)).filter(pk__in=pks))
    for using in {aliases.of(row) for row in due}:
        declaration.write_many(due, using, is_strict=True)
    if declaration.on_reverse is not None:
        known = {row.pk for row in due}
        others = all_rows(declaration.model, alias).filter(pk__in=[pk for pk in pks if pk not in known])
        rest = list(ledger.related(declaration, others))
        for using in {aliases.of(row) for row in rest}:
            for row in reversals.reported_among(declaration, rest, using):
                reverse_locked(declaration, declaration.pk_of(row), alias, using)


class ReportingManager(Manager.from_queryset(ReportingQuerySet)):  # type: ignore[misc]  # a class made at run time
    """The manager with `ReportingQuerySet`. Make a manager of your own with `from_queryset`."""
