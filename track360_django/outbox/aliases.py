"""
Databases: which database a record is written to.

With `DATABASES`, a record is written to the database of the row that it reports, in the same transaction. Without this
setting, all records are in the database that the host's routers write customers to ("home").
"""

from __future__ import annotations

from django.db import router
from django.db.models import Model

from track360_django import conf
from track360_django.models import Activity, Customer


def home() -> str:
    """Return the alias of the database that the host's routers write customers to."""
    return router.db_for_write(Customer)


def of(row: Model) -> str:
    """
    Return the alias for the record of a row of the host: the row's database if `DATABASES` lists it, otherwise home.

    The list is a setting and is never detected: the place where money is recorded must not depend on whether a
    database answers now.
    """
    listed = conf.settings.DATABASES
    if not listed or row._state.db is None:
        return home()
    alias = router.db_for_write(Activity, instance=row)
    return alias if alias in listed else home()


def all_known() -> tuple[str, ...]:
    """Return the aliases of all databases that records are written to, home first."""
    first = home()
    return tuple(dict.fromkeys((first, *conf.settings.DATABASES)))


def of_source(model: type[Model], record: Activity) -> str:
    """Return the alias that the host's row of a record is written to. A replica may not have its last change yet."""
    alias = record._state.db or home()
    if alias in conf.settings.DATABASES and router.allow_migrate_model(alias, model):
        return alias
    return str(router.db_for_write(model, instance=record))


def of_rows(model: type[Model], alias: str) -> str:
    """Return the alias for the records of a model's rows in one database."""
    return of(model.from_db(alias, (), ()))
