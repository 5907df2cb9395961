"""What a declaration says: which rows are due, and the values of each row."""

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
    """The attributes of a declared model, and how a row is read with them; hosts subclass `ModelActivity`."""

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
        """Return the path or function for each value of a record, by its name; None if a `get_` method has it."""
        names = ("customer", "value", "currency", "createtime", "eventid", "product", "reversed_at", "brand")
        return {name: None if hasattr(self, f"get_{name}") else self._declared(name) for name in names}

    def unknown_attributes(self) -> list[str]:
        """Return the names of public attributes that have no meaning here; they are probably misspelt."""
        known = dir(Declaration)
        kinds = [
            kind
            for kind in type(self).__mro__
            # Our own classes between the host's and this one declare nothing.
            if issubclass(kind, Declaration) and kind.__module__.partition(".")[0] != "track360_django"
        ]
        names = {name for kind in kinds for name, value in vars(kind).items() if not callable(value)}
        return sorted(name for name in names if not name.startswith("_") and name not in known)

    # Which rows.

    def is_due(self, row: Model) -> bool:
        """Return whether a row fulfils `when`. The database is queried only if memory can't decide it."""
        verdict = True if self.when is None else conditions.holds(self.when, row)
        if verdict is None or (verdict and self.model._meta.proxy):
            # Only a proxy's manager knows which rows belong to the proxy.
            return self.due_rows(str(row._state.db)).filter(pk=self.pk_of(row)).exists()
        return verdict

    def due_rows(self, using: str) -> QuerySet[Any]:
        """Return the rows that fulfil `when`: of the whole table, or for a proxy, of its manager."""
        return all_rows(self.model, using).filter(self.when or Q())

    def pk_of(self, row: Model) -> Any:
        """
        Return a row's primary key as the table of the model has it, also for a row of a multi-table child.

        In memory it may look different, such as a UUID as text, or a number with leading zeros.
        """
        key = self.model._meta.pk
        return key.to_python(getattr(row, key.attname))

    # The values of a row.

    def draft_of(self, row: Model) -> Draft:
        """Return the values of a row as a draft, which is not a record yet."""
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
            PayloadError: The declaration names an event id, but the row has none. With a default id now and another id
                later, it would be reported twice.
        """
        if self.paths()["eventid"] is None and not hasattr(self, "get_eventid"):
            return self.default_id_of(row)
        eventid = self._read(row, "eventid")
        if eventid is None or eventid == "":
            message = "the declaration's eventid has no value for this row; a row needs its id from the first report on."
            raise PayloadError(message, field="eventid", reason="no_eventid")
        return str(eventid)

    def default_id_of(self, row: Model) -> str:
        """Return the event id of a row whose declaration names none."""
        return self.default_id(self.pk_of(row), aliases.of(row))

    def default_id(self, pk: Any, using: str) -> str:
        """Return the default event id of a row whose record is in a database: two databases count alike."""
        return event_id.of_row(self.eventname, pk, "" if using == aliases.home() else using)

    def reversed_at_of(self, row: Model) -> Any:
        """Return when a row was reversed; None if the declaration does not say it."""
        return self._read(row, "reversed_at")

    def _read(self, row: Model, name: str) -> Any:
        return self._read_field(row, name, self._declared(name))

    def _declared(self, name: str) -> PathOrFunction | None:
        """Return an attribute as it is in the class body. A function there is not a method: it takes only the row."""
        declared: PathOrFunction | None = getattr(self, name)
        return next((vars(kind)[name] for kind in type(self).__mro__ if name in vars(kind)), declared)

    def _read_field(self, row: Model, name: str, path: PathOrFunction | None) -> Any:
        getter: Callable[[Model], Any] | None = getattr(self, f"get_{name}", None)
        if getter is not None:
            return getter(row)
        if path is None:
            return None
        return as_stored(row, path, follow(row, path))
