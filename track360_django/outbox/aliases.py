"""
Databases: a record is written beside the row it reports, in the same transaction, where a host has told us to.

Where a host has one database, or says nothing, all of this is the one that its routers write customers to.
"""

from __future__ import annotations

from django.db import router
from django.db.models import Model

from track360_django import conf
from track360_django.models import Activity, Customer


def home() -> str:
    """Return the alias that the host's routers write customers to."""
    return router.db_for_write(Customer)


def of(row: Model) -> str:
    """
    Return the alias for the record of a row of the host: where that row is, if `DATABASES` lists it, else home.

    It is listed and never found out: where money is written down must not depend on whether a database answers now.
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
    """Return the alias that a record's row of the host is written to: a replica may lag behind."""
    alias = record._state.db or home()
    if alias in conf.settings.DATABASES and router.allow_migrate_model(alias, model):
        return alias
    return str(router.db_for_write(model, instance=record))


def of_rows(model: type[Model], alias: str) -> str:
    """Return the alias for the records of rows of a model that are in a database."""
    return of(model.from_db(alias, (), ()))
