"""A declared model: how its rows become activities, and how a bad one is kept and mended."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from django.db import router, transaction
from django.db.models import Model, Q

from track360_django import alerts, conditions, databases, drafts, outbox, records
from track360_django.declarations.columns import as_stored
from track360_django.drafts import Draft
from track360_django.exceptions import PayloadError
from track360_django.models import Activity, Status
from track360_django.paths import PathOrFunction, follow

logger = logging.getLogger(__name__)


class ModelActivity:
    """
    Says how rows of a model become activities; subclass it and `register` it for the model.

    Each attribute is a path (`"account__user"`), a function of the row, or a method `get_<name>(self, row)`:

        eventname   the KPI, as agreed with Track360 (plain text)
        when        a `Q`: the activity is reported once, when a saved row first fulfils it; None: when created
        customer    leads to the user, or to a customer id as text
        value       a number; currency: an ISO code; createtime: a datetime or a date
        eventid     default: "<eventname>-<pk>"
        product     Casino, Sports, ...; needs `PRODUCT_FIELD`
        fields      further fields of the record: name to path

    The record is written in the transaction that saves the row. A value that can't be reported exactly becomes a dead
    record, never an error of the sale; an error in a `get_` method is the host's own and is raised.
    `bulk_create()`, `update()` and raw SQL send no signal: pass their rows to `report`.

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

    def __init__(self, model: type[Model]) -> None:
        self.model = model

    def paths(self) -> dict[str, PathOrFunction | None]:
        """Return what leads to each value of a record, by the value's name; a `get_` method needs no path."""
        names = ("customer", "value", "currency", "createtime", "eventid", "product")
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

    def is_due(self, row: Model) -> bool:
        """Tell whether a row fulfils `when`; asks the database only where memory can't tell."""
        if self.when is None:
            return True
        verdict = conditions.holds(self.when, row)
        if verdict is None:
            rows = self.model._base_manager.using(row._state.db)
            return rows.filter(pk=row.pk).filter(self.when).exists()
        return verdict

    def report(self, row: Model) -> Activity | None:
        """
        Report a row now, if it fulfils `when`; for rows that no signal announced.

        Returns:
            The record, which may be one written earlier; None for a row that does not fulfil `when`.
        """
        if not self.is_due(row):
            return None
        using = databases.of(row)
        record = self.write(row, using)
        return record if record.pk else records.read(record, using)

    def write(self, row: Model, using: str) -> Activity:
        """Write a row's activity down, or compare it with the one that is there; the record may have no key yet."""
        try:
            draft = self._draft(row)
            wanted, is_news = records.write(draft, using)
            if is_news:
                return wanted
            stored = records.read(wanted, using)
            records.refuse_taken(stored, wanted)
        except PayloadError as error:
            return self._quarantine(row, error, using)
        records.compare(stored, wanted, is_time_given=draft.createtime is not None, using=using)
        return stored

    def mend(self, quarantined: Activity) -> bool:
        """
        Read a quarantined activity from its row again.

        Returns:
            False when it still can't be reported; the record then says why.
        """
        using = quarantined._state.db or databases.home()
        try:
            wanted = self._read_again(quarantined, using)
        except PayloadError as error:
            outbox.explain_quarantined(quarantined.pk, reason=error.reason, error=str(error), using=using)
            return False
        outbox.replace_quarantined(quarantined.pk, wanted, using=using)
        return True

    def _read_again(self, quarantined: Activity, using: str) -> Activity:
        # From where it was corrected: a replica may lag behind.
        rows = self.model._base_manager.using(router.db_for_write(self.model, instance=quarantined))
        row = rows.filter(pk=quarantined.source_pk).first()
        if row is None:
            message = (
                f"Its row, {quarantined.source} {quarantined.source_pk}, is gone: there is nothing to report."
            )
            raise PayloadError(message, reason="row_gone")
        if not self.is_due(row):
            message = f"Its row, {quarantined.source} {quarantined.source_pk}, no longer fulfils `when`."
            raise PayloadError(message, reason="row_not_due")
        try:
            # In a savepoint: a query of the declaration that fails must not ruin the caller's transaction.
            with transaction.atomic(using=using):
                wanted = records.write_down(self._draft(row), using)
                records.refuse_taken(records.find(wanted, using), wanted)
                return wanted
        except PayloadError:
            raise
        except Exception as error:  # noqa: BLE001  the host's declaration may raise anything, and a person is asking
            message = (
                f"{type(self).__name__} raised {type(error).__name__} for its row: correct it, then requeue."
            )
            raise PayloadError(message, reason="declaration") from None

    def _draft(self, row: Model) -> Draft:
        return Draft(
            eventname=self.eventname,
            customer=self._read(row, "customer"),
            value=self._read(row, "value"),
            currency=self._read(row, "currency"),
            createtime=self._read(row, "createtime"),
            eventid=self._id_of(row),
            product=self._read(row, "product"),
            fields={name: self._read_field(row, name, path) for name, path in self._all_fields().items()},
            source=self.model._meta.label,
            source_pk=str(row.pk),
        )

    def _id_of(self, row: Model) -> str:
        return str(self._read(row, "eventid") or f"{self.eventname}-{row.pk}")

    def _all_fields(self) -> Mapping[str, PathOrFunction]:
        return self.fields

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

    def _quarantine(self, row: Model, error: PayloadError, using: str) -> Activity:
        """Keep a row that can't be reported as a dead record, so that a person sees it and the sale goes on."""
        dead = Activity(
            brand=drafts.brand_of(None, using),
            eventname=self.eventname,
            eventid=self._id_for_quarantine(row),
            body="{}",
            status=Status.DEAD,
            due_at=None,
            reason=error.reason,
            error=str(error)[:500],
            source=self.model._meta.label,
            source_pk=str(row.pk),
        )
        stored = records.find(dead, using)
        if stored is not None and not records.is_of_one_row(stored, dead):
            dead.eventid = f"{dead.source}-{dead.source_pk}"
            stored = records.find(dead, using)
        if stored is None:
            outbox.add_activities([dead], using=using)
            alerts.record_dead(
                Activity, brand=dead.brand, pk=None, name=str(dead), reason=f"{error.reason}: {error}"
            )
            return dead
        if stored.customer_id is None:
            outbox.explain_quarantined(stored.pk, reason=error.reason, error=str(error), using=using)
        elif outbox.flag_changed(stored.pk, using=using):
            logger.warning(
                "track360: the row of %s can't be reported any more (%s); what was reported stays, it is flagged.",
                stored,
                error.reason,
            )
        return stored

    def _id_for_quarantine(self, row: Model) -> str:
        """Return the id that the record will have once it can be reported, where that id is none of the faults."""
        default = f"{self.eventname}-{row.pk}"
        try:
            eventid = self._id_of(row)
            eventid.encode()
        except (PayloadError, UnicodeEncodeError):
            return default
        return default if "\0" in eventid else drafts.shorten(eventid)
