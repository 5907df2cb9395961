"""What a declaration says: which rows are due, and what each of them tells."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from django.db.models import Model, Q, QuerySet

from track360_django.activities import event_id
from track360_django.activities.declarations import conditions
from track360_django.activities.declarations.stored_values import all_rows, as_stored
from track360_django.activities.draft import Draft
from track360_django.db.paths import PathOrFunction, follow
from track360_django.exceptions import PayloadError
from track360_django.outbox import aliases


class Declaration:
    """The attributes of a declared model, and how a row is read by them; hosts derive from `ModelActivity`."""

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
    brand: ClassVar[PathOrFunction | None] = None

    def __init__(self, model: type[Model]) -> None:
        self.model = model

    def paths(self) -> dict[str, PathOrFunction | None]:
        """Return what leads to each value of a record, by the value's name; a `get_` method needs no path."""
        names = ("customer", "value", "currency", "createtime", "eventid", "product", "reversed_at", "brand")
        return {name: None if hasattr(self, f"get_{name}") else self._declared(name) for name in names}

    def unknown_attributes(self) -> list[str]:
        """Return the names of plain public attributes that mean nothing here: most likely misspelt."""
        known = dir(Declaration)
        kinds = [
            kind
            for kind in type(self).__mro__
            # Our own, between the host's and this one, say nothing of their own.
            if issubclass(kind, Declaration) and kind.__module__.partition(".")[0] != "track360_django"
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
        return all_rows(self.model, using).filter(self.when or Q())

    def pk_of(self, row: Model) -> Any:
        """
        Return a row's primary key as the table of the model has it, also for a row of a multi-table child.

        In memory it may be spelt otherwise: a UUID as text, a number with zeros before it.
        """
        key = self.model._meta.pk
        return key.to_python(getattr(row, key.attname))

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
            brand=self._read(row, "brand") or None,
        )

    def id_of(self, row: Model) -> str:
        """
        Return a row's event id, in full length.

        Raises:
            PayloadError: The declaration names one, and the row has none: reported under another id meanwhile, it would
                be reported twice.
        """
        if self.paths()["eventid"] is None and not hasattr(self, "get_eventid"):
            return self.default_id_of(row)
        eventid = self._read(row, "eventid")
        if eventid is None or eventid == "":
            message = (
                "eventid of the declaration leads to nothing: a row has one id, from its first report on."
            )
            raise PayloadError(message, field="eventid", reason="no_eventid")
        return str(eventid)

    def default_id_of(self, row: Model) -> str:
        """Return the event id of a row whose declaration names none."""
        return self.default_id(self.pk_of(row), aliases.of(row))

    def default_id(self, pk: Any, using: str) -> str:
        """Return the default event id of a row whose record is in a database: two databases count alike."""
        return event_id.of_row(self.eventname, pk, "" if using == aliases.home() else using)

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
