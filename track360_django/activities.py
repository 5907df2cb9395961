"""
Reporting activities: deposits, withdrawals, bets, GGR, NGR, any KPI that was agreed with Track360.

Models are declared in an app's `track360.py` (discovered like `admin.py`); everything else calls `report`.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from itertools import islice
from typing import Any, ClassVar, Final, TypeVar

from django.core.exceptions import ValidationError
from django.db import router, transaction
from django.db.models import DecimalField, Field, Model, Q, QuerySet
from django.db.models.signals import post_save
from django.utils import timezone

from track360_django import (
    alerts,
    attribution,
    conditions,
    conf,
    customers,
    identity,
    outbox,
    parcels,
    payloads,
    wakeup,
)
from track360_django.exceptions import PayloadError
from track360_django.models import Activity, Customer, Status
from track360_django.paths import PathOrFunction, follow
from track360_django.payloads import FieldValue, Moment, Number

logger = logging.getLogger(__name__)

MAX_EVENTID: Final = 255
MANY: Final = 1000


@dataclass(frozen=True, kw_only=True)
class _Draft:
    """What happened, before it is a record: values as the host gave them."""

    eventname: str
    customer: Any
    value: Number | None = None
    currency: str | None = None
    createtime: Moment | None = None
    eventid: str | None = None
    product: str | None = None
    fields: Mapping[str, FieldValue] = field(default_factory=dict)
    source: str = ""
    source_pk: str = ""


def report(  # noqa: PLR0913  the guide's fields, all named
    eventname: str,
    *,
    customer: Any,
    value: Number | None = None,
    currency: str | None = None,
    createtime: Moment | None = None,
    eventid: str | None = None,
    product: str | None = None,
    **fields: FieldValue,
) -> Activity:
    """
    Report one activity of a customer.

    Idempotent on `eventid`: the same activity reported twice is sent once.

    Args:
        eventname: The KPI, named as agreed: "Deposit", "GGR", ...
        customer: The host's user, a `Customer`, or a customer id as text. Who was never reported is reported first.
        value: A Decimal or an int, never a float. Money (with a currency) gets its minor units.
        currency: ISO code of three letters.
        createtime: When it happened: an aware datetime, or a date for a day's total. Now, if left out.
        eventid: Unique and the same for each retry, such as the transaction's reference. It may be left out for a
            day's total only: then it is made of event name, customer, day, product and currency.
        product: Casino, Sports, ...; needs `PRODUCT_FIELD`.
        fields: KPI numbers and details as agreed, under the names that Track360 knows.

    Returns:
        The record, written in the current transaction. It is delivered after the commit, and never before its
        customer was accepted.

    Raises:
        PayloadError: A value can't be reported exactly, or `eventid` is missing. Nothing was written.

    Source: API guide, "Activity API"; always sending an eventid is our choice: without one a retry pays twice.
    """
    draft = _Draft(
        eventname=eventname,
        customer=customer,
        value=value,
        currency=currency,
        createtime=createtime,
        eventid=eventid,
        product=product,
        fields=fields,
    )
    using = router.db_for_write(Activity)
    wanted = _write_down(draft, using)
    stored = _find(wanted, using)
    if stored is None:
        outbox.add_activities([wanted], using=using)
        wakeup.after_commit(using=using)
        stored = _find(wanted, using) or wanted
    _compare(stored, wanted, is_time_given=createtime is not None, using=using)
    return stored


def report_many(rows: Iterable[Mapping[str, Any]]) -> int:
    """
    Report many activities, a thousand in one INSERT; those that are there already are left alone.

    Args:
        rows: Mappings with the arguments of `report`, `eventname` among them. May be a generator.

    Returns:
        How many rows were read.

    Raises:
        PayloadError: A row can't be reported exactly; its thousand and those behind it were not written.

    Source: API guide, "General API Conventions", Batching.
    """
    using = router.db_for_write(Activity)
    total = 0
    remaining = iter(rows)
    while chunk := [_draft_of(row) for row in islice(remaining, MANY)]:
        with transaction.atomic(using=using):
            owners = _owners_of(chunk, using)
            activities = [_build(draft, owners[_key_of(draft.customer)]) for draft in chunk]
            outbox.add_activities(activities, using=using)
            wakeup.after_commit(using=using)
        total += len(chunk)
    return total


def _draft_of(row: Mapping[str, Any]) -> _Draft:
    known = {name: row[name] for name in _Draft.__dataclass_fields__ if name in row and name != "fields"}
    return _Draft(**known, fields={name: value for name, value in row.items() if name not in known})


def _key_of(owner: Any) -> tuple[type, Any]:
    """Return what tells owners apart without a query."""
    return type(owner), getattr(owner, "pk", owner)


def _owners_of(drafts: list[_Draft], using: str) -> dict[tuple[type, Any], Customer]:
    """Return the customers of some drafts; those that are known are looked up together."""
    owners = {_key_of(draft.customer): draft.customer for draft in drafts}
    brands = {key: _brand_of(owner, using) for key, owner in owners.items()}
    found: dict[tuple[type, Any], Customer] = {}
    for brand in set(brands.values()):
        wanted = {
            key: owner for key, owner in owners.items() if brands[key] == brand and not _is_nobody(owner)
        }
        found |= customers.find_many(wanted, brand, using=using)
    return {key: found.get(key) or _owner_of(owner, using) for key, owner in owners.items()}


def _owner_of(owner: Any, using: str) -> Customer:
    if _is_nobody(owner):
        message = "customer leads to nobody: an activity belongs to a user or a customer id (API guide, customerid)."
        raise PayloadError(message, field="customerid", reason="no_customer")
    return customers.of(owner, _brand_of(owner, using), using=using)


def _is_nobody(owner: Any) -> bool:
    return owner is None or owner == ""


def _write_down(draft: _Draft, using: str) -> Activity:
    """Return an unsaved record; who is registered for one that can't be reported is taken back."""
    if not _is_nobody(draft.customer):
        known = customers.find(draft.customer, _brand_of(draft.customer, using), using=using)
        if known is not None:
            return _build(draft, known)
    with transaction.atomic(using=using):
        return _build(draft, _owner_of(draft.customer, using))


def _brand_of(owner: Any, using: str) -> str:
    """Return the brand an owner belongs to: the one they were reported to, else the current request's."""
    if isinstance(owner, Customer):
        return owner.brand
    if len(conf.brands()) > 1 and isinstance(owner, Model):
        reported = Customer.objects.using(using).filter(user_pk=str(owner.pk)).order_by("pk").first()
        if reported is not None:
            return reported.brand
    touches = attribution.current()
    return conf.brand_of(touches and touches.request)


def _build(draft: _Draft, customer: Customer) -> Activity:
    """Return an unsaved record with its body fixed."""
    settings = conf.for_brand(customer.brand)
    if settings.EVENTS and draft.eventname not in settings.EVENTS:
        logger.warning(
            "track360: %r is not among the agreed EVENTS (API guide, KPI naming).", draft.eventname
        )
    record = payloads.ActivityRecord(
        eventname=draft.eventname,
        eventid=_eventid_of(draft, customer),
        customer_id=customer.customer_id,
        createtime=identity.aware(draft.createtime or timezone.now()),
        value=draft.value,
        currency=draft.currency,
        fields={name: identity.aware(value) for name, value in _with_product(draft, settings).items()},
    )
    body = parcels.before_send(record.as_dict(conf.time_zone(customer.brand)), customer.brand)
    return Activity(
        brand=customer.brand,
        customer=customer,
        status=Status.PENDING if customer.accepted_version else Status.HELD,
        eventname=record.eventname,
        eventid=record.eventid,
        body=payloads.to_json(body),
        source=draft.source,
        source_pk=draft.source_pk,
    )


def _with_product(draft: _Draft, settings: conf.Settings) -> Mapping[str, FieldValue]:
    if not draft.product:
        return draft.fields
    if not settings.PRODUCT_FIELD:
        message = (
            "product can't be reported before TRACK360['PRODUCT_FIELD'] names the field agreed with Track360 "
            "(API guide, Grouping by date or by KPI type, names none)."
        )
        raise PayloadError(message, field="product", reason="no_product_field")
    return {settings.PRODUCT_FIELD: draft.product, **draft.fields}


def _eventid_of(draft: _Draft, customer: Customer) -> str:
    if draft.eventid:
        eventid = str(draft.eventid)
    elif _is_day(draft.createtime):
        # In capitals, as on the wire: two spellings of a currency are one total.
        currency = payloads.currency(draft.currency)
        parts = (draft.eventname, customer.customer_id, str(draft.createtime), draft.product, currency)
        eventid = "-".join(str(part) for part in parts if part)
    else:
        message = "eventid is missing: give one that stays the same for a retry, such as the transaction's reference."
        raise PayloadError(message, field="eventid", reason="no_eventid")
    return _shorten(eventid)


def _shorten(eventid: str) -> str:
    """Return an id that fits; what is cut off still tells it apart."""
    if len(eventid) <= MAX_EVENTID:
        return eventid
    digest = hashlib.sha256(eventid.encode(errors="surrogatepass")).hexdigest()
    return f"{eventid[: MAX_EVENTID - len(digest) - 1]}-{digest}"


def _is_day(createtime: Moment | None) -> bool:
    if isinstance(createtime, str):
        return " " not in createtime
    return isinstance(createtime, date) and not isinstance(createtime, datetime)


def _find(wanted: Activity, using: str) -> Activity | None:
    key = {"brand": wanted.brand, "eventname": wanted.eventname, "eventid": wanted.eventid}
    return Activity.objects.using(using).filter(**key).first()


def _compare(stored: Activity, wanted: Activity, *, is_time_given: bool, using: str) -> None:
    """Deal with an activity that was written down before with other content, as `CORRECTIONS` says."""
    if stored.customer_id is None:
        # It was quarantined, and its row has been corrected.
        outbox.replace_quarantined(stored.pk, wanted, using=using)
        wakeup.after_commit(using=using)
        return
    if stored.body == wanted.body or _is_same(stored.body, wanted.body, is_time_given=is_time_given):
        return
    is_unsent = stored.status == Status.DEAD and not stored.accepted_version
    if is_unsent or conf.for_brand(stored.brand).CORRECTIONS == "resend":
        outbox.correct_activity(stored.pk, wanted.body, using=using)
        wakeup.after_commit(using=using)
    elif outbox.flag_changed(stored.pk, using=using):
        logger.warning(
            "track360: %s %s was reported with other content before; the first stays, the record is flagged "
            "(TRACK360['CORRECTIONS']).",
            stored.eventname,
            stored.eventid,
        )


def _is_same(stored: str, wanted: str, *, is_time_given: bool) -> bool:
    bodies = [json.loads(text) for text in (stored, wanted)]
    if not is_time_given:
        for body in bodies:
            body.pop("createtime", None)
    return bool(bodies[0] == bodies[1])


# Declarations: a model's rows become activities when they are saved.


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
        using = router.db_for_write(Activity)
        try:
            draft = self._draft(row)
            wanted = _write_down(draft, using)
            stored = _find(wanted, using)
            _refuse_taken(stored, wanted)
        except PayloadError as error:
            return self._quarantine(row, error, using)
        if stored is None:
            outbox.add_activities([wanted], using=using)
            wakeup.after_commit(using=using)
            return wanted
        _compare(stored, wanted, is_time_given=draft.createtime is not None, using=using)
        return stored

    def mend(self, quarantined: Activity) -> bool:
        """
        Read a quarantined activity from its row again.

        Returns:
            False when it still can't be reported; the record then says why.
        """
        using = router.db_for_write(Activity)
        try:
            wanted = self._read_again(quarantined, using)
        except PayloadError as error:
            outbox.explain_quarantined(quarantined.pk, reason=error.reason, error=str(error), using=using)
            return False
        outbox.replace_quarantined(quarantined.pk, wanted, using=using)
        return True

    def _read_again(self, quarantined: Activity, using: str) -> Activity:
        row = self.model._base_manager.filter(pk=quarantined.source_pk).first()
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
                wanted = _write_down(self._draft(row), using)
                _refuse_taken(_find(wanted, using), wanted)
                return wanted
        except PayloadError:
            raise
        except Exception as error:  # noqa: BLE001  the host's declaration may raise anything, and a person is asking
            message = (
                f"{type(self).__name__} raised {type(error).__name__} for its row: correct it, then requeue."
            )
            raise PayloadError(message, reason="declaration") from None

    def _draft(self, row: Model) -> _Draft:
        return _Draft(
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
        path = getattr(self, name)
        # A function that stands in the class body is no method: it takes the row alone.
        declared = next((vars(kind)[name] for kind in type(self).__mro__ if name in vars(kind)), path)
        return self._read_field(row, name, declared)

    def _read_field(self, row: Model, name: str, path: PathOrFunction | None) -> Any:
        getter: Callable[[Model], Any] | None = getattr(self, f"get_{name}", None)
        if getter is not None:
            return getter(row)
        if path is None:
            return None
        return _as_stored(row, path, follow(row, path))

    def _quarantine(self, row: Model, error: PayloadError, using: str) -> Activity:
        """Keep a row that can't be reported as a dead record, so that a person sees it and the sale goes on."""
        dead = Activity(
            brand=_brand_of(None, using),
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
        stored = _find(dead, using)
        if stored is not None and not _is_of_one_row(stored, dead):
            dead.eventid = f"{dead.source}-{dead.source_pk}"
            stored = _find(dead, using)
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
        return default if "\0" in eventid else _shorten(eventid)


def _is_of_one_row(stored: Activity, wanted: Activity) -> bool:
    """Tell whether two records come from the same row of the host; a report without a row may be of any."""
    rows = [(each.source, each.source_pk) for each in (stored, wanted)]
    return not stored.source or not wanted.source or rows[0] == rows[1]


def _refuse_taken(stored: Activity | None, wanted: Activity) -> None:
    """Refuse to take another row's record for this row's: it would be reported once for both."""
    if stored is not None and not _is_of_one_row(stored, wanted):
        message = (
            f"eventid is taken by {stored.source} {stored.source_pk}: give the declaration an `eventid` that is unique "
            "for the event name."
        )
        raise PayloadError(message, field="eventid", reason="eventid_taken")


def _as_stored(row: Model, path: PathOrFunction, value: Any) -> Any:
    """Return a column's value as the database will give it back: a float in a decimal column is a decimal there."""
    column: Any = next((item for item in row._meta.concrete_fields if item.name == path), None)
    if column is None or column.is_relation or not isinstance(column, Field):
        return value
    if hasattr(value, "resolve_expression"):
        return _read_stored(row, column)
    value = column.to_python(value)
    if isinstance(column, DecimalField) and isinstance(value, Decimal) and value.is_finite():
        rounded = round(value, column.decimal_places)
        # Databases round halves differently: ours to know, not to guess.
        return rounded if rounded == value else _read_stored(row, column)
    return value


def _read_stored(row: Model, column: Field[Any, Any]) -> Any:
    rows = row._meta.model._base_manager.using(row._state.db)
    return rows.values_list(column.name, flat=True).get(pk=row.pk)


D = TypeVar("D", bound=type[ModelActivity])

_declarations: dict[type[Model], list[ModelActivity]] = {}


def register(model: type[Model]) -> Callable[[D], D]:
    """
    Return the decorator that declares how rows of a model are reported; a model may have several declarations.

    Source: none, our choice: works like `django.contrib.admin.register`.
    """

    def decorate(declaration: D) -> D:
        _declarations.setdefault(model, []).append(declaration(model))
        post_save.connect(_on_saved, sender=model, dispatch_uid=f"track360.activities.{model._meta.label}")
        return declaration

    return decorate


def unregister(model: type[Model], declaration: type[ModelActivity]) -> None:
    """Take a declaration back: for tests, and for hosts that replace the one of another app."""
    kept = [item for item in _declarations.get(model, []) if type(item) is not declaration]
    _declarations[model] = kept
    if not kept:
        post_save.disconnect(sender=model, dispatch_uid=f"track360.activities.{model._meta.label}")


def declarations() -> tuple[ModelActivity, ...]:
    """Return all declarations, in the order of their registration."""
    return tuple(declaration for group in _declarations.values() for declaration in group)


@dataclass(frozen=True, kw_only=True)
class Requeued:
    """How many dead activities go out again, and how many still can't be written down."""

    count: int
    refused: int = 0


def requeue(records: QuerySet[Activity]) -> Requeued:
    """
    Give dead activities another try from the start.

    Those that could not be written down (`ModelActivity`) are read from the host's rows again.

    Returns:
        How many go out again, and how many stay dead because their rows still can't be reported; they say why.
    """
    using = router.db_for_write(Activity)
    quarantined = list(records.filter(status=Status.DEAD, customer=None))
    mended = sum(_mend(activity, using) for activity in quarantined)
    count = outbox.requeue(records) + mended
    if count:
        wakeup.after_commit(using=using)
    return Requeued(count=count, refused=len(quarantined) - mended)


def _mend(quarantined: Activity, using: str) -> bool:
    for declaration in declarations():
        if (declaration.model._meta.label, declaration.eventname) == (
            quarantined.source,
            quarantined.eventname,
        ):
            return declaration.mend(quarantined)
    error = f"No app declares {quarantined.source} as {quarantined.eventname} any more: there is nothing to report."
    outbox.explain_quarantined(quarantined.pk, reason="declaration", error=error, using=using)
    return False


def _on_saved(
    *, sender: type[Model], instance: Model, raw: bool, update_fields: frozenset[str] | None = None, **_: Any
) -> None:
    if raw or not conf.settings.ENABLED:
        return
    row: Model | None = None
    for declaration in _declarations.get(sender, ()):
        if declaration.is_due(instance):
            row = row or _as_saved(instance, update_fields)
            declaration.report(row)


def _as_saved(row: Model, update_fields: frozenset[str] | None) -> Model:
    """Return a row as its table has it: a partial save may leave something else in memory."""
    if update_fields is None:
        return row
    rows = row._meta.model._base_manager.using(row._state.db).filter(pk=row.pk)
    columns: list[Any] = [
        column
        for column in row._meta.concrete_fields
        if not {column.name, column.attname} & update_fields and column.attname in row.__dict__
    ]
    stored = rows.values(*(column.attname for column in columns)).first() if columns else None
    if stored is None or all(_is_stored(row, column, stored[column.attname]) for column in columns):
        return row
    return rows.first() or row


def _is_stored(row: Model, column: Any, stored: Any) -> bool:
    try:
        return bool(column.to_python(getattr(row, column.attname)) == stored)
    except (ValidationError, TypeError, ValueError):
        return False
