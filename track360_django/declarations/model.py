"""A declared model: what its rows say as activities, and which of its rows are due."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, ClassVar

from django.db.models import Model, Q, QuerySet

from track360_django import conditions, databases, records
from track360_django.declarations import ledger, writing
from track360_django.declarations.columns import as_stored
from track360_django.declarations.writing import Written
from track360_django.drafts import Draft
from track360_django.models import Activity
from track360_django.paths import PathOrFunction, follow


class ModelActivity:
    """
    Says how rows of a model become activities; subclass it and `register` it for the model.

    Each attribute is a path (`"account__user"`), a function of the row, or a method `get_<name>(self, row)`:

        eventname    the KPI, as agreed with Track360 (plain text)
        when         a `Q`: the activity is reported once, when a saved row first fulfils it; None: when created
        customer     leads to the user, or to a customer id as text
        value        a number; currency: an ISO code; createtime: a datetime or a date
        eventid      default: "<eventname>-<pk>"; in another database of `DATABASES` "<eventname>-<alias>-<pk>"
        product      Casino, Sports, ...; needs `PRODUCT_FIELD`
        fields       further fields of the record: name to path
        on_reverse   what a reported row tells that no longer fulfils `when`, or is deleted (plain text): None for
                     nothing, "negative" for its value with the other sign, or an event name such as "Chargeback"
        reversed_at  when that happened; default: now
        dated_by     the column that tells how old a row is, for `track360 reconcile`; default: `createtime`

    The record is written in the transaction that saves the row. A value that can't be reported exactly becomes a dead
    record, never an error of the sale; an error in a `get_` method is the host's own and is raised.
    Rows of proxies and of multi-table children are rows of the model. `bulk_create()`, `update()` and raw SQL send no
    signal: `ReportingManager` reports the first two, `track360 reconcile` finds whatever nobody announced.

    Source: API guide, "Activity API".
    """

    eventname: ClassVar[str] = ""
    when: ClassVar[Q | None] = None
    customer: ClassVar[PathOrFunction | None] = "user"
    value: ClassVar[PathOrFunction | None] = None
    currency: ClassVar[PathOrFunction | None] = None
    createtime: ClassVar[PathOrFunction | None] = None
    eventid: ClassVar[PathOrFunction | None] = None
    product: ClassVar[PathOrFunction | None] = None
    fields: ClassVar[Mapping[str, PathOrFunction]] = {}
    on_reverse: ClassVar[str | None] = None
    reversed_at: ClassVar[PathOrFunction | None] = None
    dated_by: ClassVar[str | None] = None

    def __init__(self, model: type[Model]) -> None:
        self.model = model

    def paths(self) -> dict[str, PathOrFunction | None]:
        """Return what leads to each value of a record, by the value's name; a `get_` method needs no path."""
        names = ("customer", "value", "currency", "createtime", "eventid", "product", "reversed_at")
        return {name: None if hasattr(self, f"get_{name}") else self._declared(name) for name in names}

    def unknown_attributes(self) -> list[str]:
        """Return the names of plain public attributes that mean nothing here: most likely misspelt."""
        known = vars(ModelActivity)
        kinds = [
            kind
            for kind in type(self).__mro__
            if issubclass(kind, ModelActivity) and kind is not ModelActivity
        ]
        names = {name for kind in kinds for name, value in vars(kind).items() if not callable(value)}
        return sorted(name for name in names if not name.startswith("_") and name not in known)

    # Which rows.

    def is_due(self, row: Model) -> bool:
        """Tell whether a row fulfils `when`; asks the database only where memory can't tell."""
        verdict = True if self.when is None else conditions.holds(self.when, row)
        if verdict is None or (verdict and self.model._meta.proxy):
            # Which rows are a proxy's own only its manager knows.
            return self.due_rows(str(row._state.db)).filter(pk=self.pk_of(row)).exists()
        return verdict

    def due_rows(self, using: str) -> QuerySet[Any]:
        """Return the rows that fulfil `when`: all that the table has, or all that a proxy's manager lets through."""
        return ledger.all_rows(self.model, using).filter(self.when or Q())

    def rows(
        self, using: str, *, since: datetime | None = None, until: datetime | None = None
    ) -> Iterator[list[Any]]:
        """
        Yield the due rows in pages, by primary key, with the relations that reporting them needs.

        Args:
            using: Alias of the database they are in.
            since: Those that `dated_by` says are older are left out; those without a date are not.
            until: Those from then on are left out.
        """
        return ledger.pages(self, self.due_rows(using), since=since, until=until)

    def pk_of(self, row: Model) -> Any:
        """Return a row's primary key in the table of the model, also for a row of a multi-table child."""
        return getattr(row, self.model._meta.pk.attname)

    # Reporting.

    def report(self, row: Model) -> Activity | None:
        """
        Report a row now, if it fulfils `when`; for rows that no signal announced.

        Returns:
            The record, which may be one written earlier; None for a row that does not fulfil `when`.
        """
        if not self.is_due(row):
            return None
        using = databases.of(row)
        return records.read(writing.write(self, row, using), using)

    def write_many(self, rows: Iterable[Model], using: str, *, is_strict: bool = False) -> Written:
        """
        Report rows that fulfil `when`, a thousand in one INSERT; those that were reported are compared.

        Args:
            rows: Rows of the model.
            using: Where their records are kept (`databases.of`).
            is_strict: Whether an error of the declaration is raised; else its row becomes a dead record.

        Returns:
            How many are news, and how many can't be reported and are dead.
        """
        return writing.write_many(self, rows, using, is_strict=is_strict)

    # What a row says.

    def draft_of(self, row: Model) -> Draft:
        """Return what a row says, before it is a record."""
        return Draft(
            eventname=self.eventname,
            customer=self._read(row, "customer"),
            value=self._read(row, "value"),
            currency=self._read(row, "currency"),
            createtime=self._read(row, "createtime"),
            eventid=self.id_of(row),
            product=self._read(row, "product"),
            fields={name: self._read_field(row, name, path) for name, path in self.fields.items()},
            source=self.model._meta.label,
            source_pk=str(self.pk_of(row)),
        )

    def id_of(self, row: Model) -> str:
        """Return a row's event id, in full length."""
        return str(self._read(row, "eventid") or self.default_id_of(row))

    def default_id_of(self, row: Model) -> str:
        """Return the event id of a row whose declaration names none."""
        return self.default_id(self.pk_of(row), databases.of(row))

    def default_id(self, pk: Any, using: str) -> str:
        """Return the default event id of a row whose record is in a database: two databases count alike."""
        where = "" if using == databases.home() else f"{using}-"
        return f"{self.eventname}-{where}{pk}"

    def reversed_at_of(self, row: Model) -> Any:
        """Return when a row was reversed, None where the declaration doesn't know."""
        return self._read(row, "reversed_at")

    def _read(self, row: Model, name: str) -> Any:
        return self._read_field(row, name, self._declared(name))

    def _declared(self, name: str) -> PathOrFunction | None:
        """Return an attribute as it stands in the class body: a function there is no method, it takes the row alone."""
        declared: PathOrFunction | None = getattr(self, name)
        return next((vars(kind)[name] for kind in type(self).__mro__ if name in vars(kind)), declared)

    def _read_field(self, row: Model, name: str, path: PathOrFunction | None) -> Any:
        getter: Callable[[Model], Any] | None = getattr(self, f"get_{name}", None)
        if getter is not None:
            return getter(row)
        if path is None:
            return None
        return as_stored(row, path, follow(row, path))
