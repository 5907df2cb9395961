"""Reporting customers: one row a customer, written in the caller's transaction, delivered after its commit."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Final, NamedTuple, TypeVar
from uuid import UUID

from django.contrib.auth import get_user_model
from django.db import DEFAULT_DB_ALIAS, connections, router, transaction
from django.db.models import Model

from track360_django import attribution, conf, databases, identity, outbox, payloads, wakeup
from track360_django.attribution import Touch, Touches
from track360_django.clock import from_now
from track360_django.exceptions import PayloadError
from track360_django.models import Customer, Status
from track360_django.payloads import FieldValue

# The signup source of a row that was written because somebody unknown was active.
PLACEHOLDER: Final = "activity"
# How many ids one query asks for: SQLite takes no more than a thousand parameters.
FIND_BATCH: Final = 500
# How many customers one transaction of `report_many` writes.
MANY: Final = 1000

# What a signup froze, and what was reported with it.
_SNAPSHOT: Final = ("tracking", "first_touch", "last_touch", "unattributed_reason", "regtime", "fields")

K = TypeVar("K")


def report(
    user: Any,
    *,
    request: Any = None,
    tracking: Mapping[str, str] | None = None,
    source: str = "report",
    **fields: FieldValue,
) -> Customer:
    """
    Report that a user has signed up, with the tracking data of the landing that brought them.

    Idempotent: reporting somebody twice sends nothing new, and the attribution stays as it was frozen.

    Args:
        user: The host's user; or a customer id as text, for somebody who is no user of this project.
        request: Where the touches are read from; without one, the request being served in this context, unless
            somebody else is logged in there.
        tracking: Parameter name to value, verbatim; wins over every touch.
        source: Which signup source it was, for the admin.
        fields: Additional fields as agreed with Track360, under the guide's names; None leaves one as it is.

    Returns:
        The customer's row, written in the current transaction. It is delivered after the commit.

    Raises:
        PayloadError: A tracking value or field can't be reported exactly. Nothing was written.
        ImproperlyConfigured: `CUSTOMER_ID` or `BRAND_RESOLVER` leads to nothing.

    Source: API guide, "Customer API", When to call this endpoint.
    """
    return _report(user, request, tracking, source, fields)


def _report(
    user: Any, request: Any, tracking: Mapping[str, str] | None, source: str, fields: Mapping[str, FieldValue]
) -> Customer:
    touches = attribution.of(request)
    brand = conf.brand_of(request if request is not None else touches and touches.request)
    if request is None and not _is_served(user, touches):
        touches = None
    customer = _build(user, brand, touches, tracking, source, fields)
    using = router.db_for_write(Customer)
    with transaction.atomic(using=using, savepoint=False):
        stored = outbox.add_customer(customer, using=using)
        _complete(stored, customer, is_explicit=bool(tracking))
        wakeup.after_commit(using=using)
        return outbox.read_customer(stored.brand, stored.customer_id, using=using)


@dataclass(frozen=True, kw_only=True)
class Registration:
    """
    Somebody who is reported with many others: the arguments of `report`.

    `regtime` is when they registered; without it, what the user says, or now.
    """

    user: Any
    tracking: Mapping[str, str] = field(default_factory=dict)
    regtime: datetime | None = None
    fields: Mapping[str, FieldValue] = field(default_factory=dict)


@dataclass(kw_only=True)
class Reported:
    """How many customers `report_many` wrote down, changed, and left as they were."""

    new: int = 0
    changed: int = 0
    unchanged: int = 0


OnError = Callable[[Registration, PayloadError], None]


def report_many(
    registrations: Iterable[Registration],
    *,
    source: str = "import",
    brand: str = "",
    on_error: OnError | None = None,
) -> Reported:
    """
    Report many customers, a thousand in one INSERT; with those that are there already, as `report` does.

    Args:
        registrations: May be a generator. Users of this project are found by their ids, where `CUSTOMER_ID` is a column.
        source: Which signup source it was, for the admin.
        brand: Whose customers they are; without one, the brand of a host that serves no request.
        on_error: Called for each one that can't be reported exactly; the others are. Without it, the error is raised.

    Returns:
        What became of them. Each thousand is committed by itself, or with the transaction it is called in.

    Raises:
        PayloadError: One can't be reported exactly; its thousand and those behind it were not written.

    Source: API guide, "Customer API", Implementation notes: several customers in one array, for bulk imports.
    """
    brand = brand or conf.brand_of(None)
    using = router.db_for_write(Customer)
    total = Reported()
    remaining = iter(registrations)
    while chunk := list(islice(remaining, MANY)):
        with transaction.atomic(using=using, savepoint=False):
            _report_chunk(_wanted(chunk, source, brand, on_error), brand, using, total)
            wakeup.after_commit(using=using)
    return total


def preview_many(
    registrations: Collection[Registration],
    *,
    source: str = "import",
    brand: str = "",
    on_error: OnError | None = None,
) -> Iterator[Customer]:
    """Yield the rows of those who would be sent by `report_many`, as they would be sent; nothing is written."""
    brand = brand or conf.brand_of(None)
    wanted = _wanted(registrations, source, brand, on_error)
    rows = find_many(
        {each.row.customer_id: each.row.customer_id for each in wanted},
        brand,
        using=router.db_for_write(Customer),
    )
    for each in wanted:
        stored = rows.get(each.row.customer_id)
        after = each.row if stored is None else _after(stored, each)
        if after is not None:
            rows[after.customer_id] = after
            yield after


class _Wanted(NamedTuple):
    """What a registration asks for: the row as it is to be, and what of it was said and not made up."""

    row: Customer
    is_explicit: bool
    is_dated: bool


def _wanted(
    chunk: Collection[Registration], source: str, brand: str, on_error: OnError | None
) -> list[_Wanted]:
    users = identity.find_users({each.user for each in chunk if isinstance(each.user, str)}, brand)
    wanted: list[_Wanted] = []
    for each in chunk:
        user = users.get(each.user, each.user) if isinstance(each.user, str) else each.user
        try:
            row = _build(user, brand, None, each.tracking, source, each.fields, each.regtime)
        except PayloadError as error:
            if on_error is None:
                raise
            on_error(each, error)
        else:
            wanted.append(_Wanted(row, bool(each.tracking), each.regtime is not None))
    return wanted


def _report_chunk(wanted: list[_Wanted], brand: str, using: str, total: Reported) -> None:
    rows = Customer.objects.using(using)
    # Ids rise: what has a higher one afterwards is new.
    last = rows.order_by("-pk").values_list("pk", flat=True).first() or 0
    # The first of several lines about one customer; the others complete it.
    firsts = {each.row.customer_id: each.row for each in reversed(wanted)}
    outbox.add_customers(list(firsts.values()), using=using)
    stored: dict[str, Customer | None] = {**_known(firsts, brand, using)}
    seen: set[str] = set()
    for each in wanted:
        customer_id = each.row.customer_id
        row = stored.get(customer_id) or outbox.read_customer(brand, customer_id, using=using)
        is_changed = _complete(row, each.row, is_explicit=each.is_explicit, is_dated=each.is_dated)
        if row.pk > last and customer_id not in seen:
            total.new += 1
        elif is_changed:
            total.changed += 1
        else:
            total.unchanged += 1
        seen.add(customer_id)
        # What was changed is read again by the next line about the same customer.
        stored[customer_id] = None if is_changed else row


def update(user: Any, *, request: Any = None, **fields: FieldValue) -> Customer:
    """
    Report changed fields of a customer, such as `salesStatus` or `kycStatus`.

    Updates before a delivery are sent as one. Tracking data and registration time go with each, unchanged.
    Somebody who was never reported is reported now; a customer who is held stays held, and the fields wait with them.

    Args:
        user: As in `report`.
        request: Only to find the brand of a host with several.
        fields: Additional fields as agreed with Track360, under the guide's names; None or "" removes one.

    Returns:
        The customer's row.

    Raises:
        PayloadError: A field can't be reported exactly. Nothing was written.

    Source: API guide, "Update behavior".
    """
    brand = conf.brand_of(request)
    changed = _wire_fields(fields, brand)
    using = router.db_for_write(Customer)
    with transaction.atomic(using=using):
        customer = _locked(id_of(user, brand), brand, using)
        if customer is None:
            # Nobody said that this is their signup, so no touch of today may claim it.
            customer = outbox.add_customer(_build(user, brand, None, None, "update", fields), using=using)
        kept = {name: value for name, value in customer.fields.items() if name not in fields}
        # Also for one just added: it may be the row of a signup that committed in between.
        if kept | changed != customer.fields or customer.accepted_version:
            outbox.change_fields(customer, kept | changed)
        wakeup.after_commit(using=using)
        return outbox.read_customer(customer.brand, customer.customer_id, using=using)


def hold(user: Any, touches: Touches, *, using: str) -> Customer:
    """
    Write a user down as a customer without reporting them yet: the safety net of a signup that is under way.

    A signup source claims the row with `report`, the end of the request releases it; failing both, it releases
    itself after a minute.
    """
    brand = conf.brand_of(touches.request)
    customer = _build(user, brand, touches, None, "auth", {})
    customer.status = Status.HELD
    customer.due_at = from_now(outbox.SAFETY_NET)
    stored = outbox.add_customer(customer, using=using)
    if stored.source == PLACEHOLDER and stored.status == Status.HELD:
        missing = _missing(stored, customer, is_explicit=False)
        outbox.claim_placeholder(stored.pk, using=using, source=customer.source, **missing)
    return stored


def of(owner: Any, brand: str, *, using: str) -> Customer:
    """
    Return the row of the customer that an activity belongs to; registered now when it is a user nobody reported.

    `owner` is a user, a row of `Customer`, or a customer id as text. `UNKNOWN_CUSTOMERS="hold"`, staff, and ids that
    no user has get a held row: their activities wait for `report`.
    """
    return find(owner, brand, using=using) or _register(owner, id_of(owner, brand), brand, using)


def find(owner: Any, brand: str, *, using: str) -> Customer | None:
    """Return the row of the customer that an activity belongs to, None when there is none yet."""
    return find_many({0: owner}, brand, using=using).get(0)


def find_many(owners: Mapping[K, Any], brand: str, *, using: str) -> dict[K, Customer]:
    """Return the rows of some owners under the keys they were given with; who has none yet is left out."""
    # A row of another database has another key here.
    found = {
        key: owner
        for key, owner in owners.items()
        if isinstance(owner, Customer) and owner._state.db in {using, None}
    }
    ids = {key: id_of(owner, brand) for key, owner in owners.items() if key not in found}
    known = _known(set(ids.values()), brand, using)
    return found | {key: known[customer_id] for key, customer_id in ids.items() if customer_id in known}


def _known(customer_ids: Collection[str], brand: str, using: str, *deferred: str) -> dict[str, Customer]:
    """Return rows by customer id, without some columns that are dear to read."""
    wanted = sorted(customer_ids)
    rows = Customer.objects.using(using).filter(brand=brand).defer(*deferred)
    return {
        row.customer_id: row
        for start in range(0, len(wanted), FIND_BATCH)
        for row in rows.filter(customer_id__in=wanted[start : start + FIND_BATCH])
    }


def of_many(customer_ids: Collection[str], brand: str, *, using: str) -> dict[str, Customer]:
    """Return the rows of some customer ids by id; those that nobody reported are registered together, as `of` does."""
    found = _known(customer_ids, brand, using, *_SNAPSHOT)
    missing = [customer_id for customer_id in customer_ids if customer_id not in found]
    if missing:
        outbox.add_customers(placeholders(missing, brand, using=using), using=using)
        found |= _known(missing, brand, using)
        # Somebody else's, whom an older snapshot does not show.
        late = [customer_id for customer_id in missing if customer_id not in found]
        found |= {each: outbox.read_customer(brand, each, using=using) for each in late}
    return found


def placeholders(customer_ids: Collection[str], brand: str, *, using: str) -> list[Customer]:
    """Return unsaved rows for ids that nobody reported: what `of_many` registers."""
    users = identity.find_users(customer_ids, brand)
    return [_placeholder(users.get(each), each, brand, using) for each in customer_ids]


def _register(owner: Any, customer_id: str, brand: str, using: str) -> Customer:
    is_user = isinstance(owner, Model) and not isinstance(owner, Customer)
    user = owner if is_user else identity.find_user(customer_id, brand)
    return outbox.add_customer(_placeholder(user, customer_id, brand, using), using=using)


def _placeholder(user: Any | None, customer_id: str, brand: str, using: str) -> Customer:
    """Return the unsaved row of somebody who was active before anybody reported them."""
    # No touch of today: who deposits may have signed up long ago, and a click after the signup changes nothing.
    customer = _build(customer_id if user is None else user, brand, None, None, PLACEHOLDER, {})
    known = None if using == databases.home() else find(customer_id, brand, using=databases.home())
    if known is not None:
        # Their signup is in another database than the row that is reported: it says who brought them.
        for name in _SNAPSHOT:
            setattr(customer, name, getattr(known, name))
    is_reported = known is not None and known.status != Status.HELD
    reason = None if is_reported else _why_held(user, brand)
    if reason:
        customer.status, customer.due_at, customer.reason = Status.HELD, None, reason
    return customer


def release_reported(*, using: str) -> int:
    """
    Release customers who are held in another database than home, and were reported at home; return how many.

    Their signup came after what they did there.
    """
    held = Customer.objects.using(using).filter(status=Status.HELD, due_at=None).order_by("pk")
    released = last = 0
    while page := list(held.filter(pk__gt=last).only("pk", "brand", "customer_id")[:FIND_BATCH]):
        last = page[-1].pk
        for brand in {row.brand for row in page}:
            ids = {row.pk: row.customer_id for row in page if row.brand == brand}
            for pk, known in find_many(ids, brand, using=databases.home()).items():
                if known.status != Status.HELD:
                    changes = {name: getattr(known, name) for name in _SNAPSHOT}
                    released += outbox.release_customer(pk, using=using, **changes)
    return released


def _why_held(user: Any | None, brand: str) -> str | None:
    if user is None:
        return "unknown_customer"
    if conf.for_brand(brand).UNKNOWN_CUSTOMERS == "hold":
        return "not_reported"
    return identity.why_not_a_customer(user, brand)


def _is_served(user: Any, touches: Touches | None) -> bool:
    """Tell whether the request being served can be this person's: staff's clicks are not their customers'."""
    visitor = getattr(touches.request, "user", None) if touches else None
    return not getattr(visitor, "is_authenticated", False) or getattr(visitor, "pk", None) == getattr(
        user, "pk", user
    )


def id_of(user: Any, brand: str) -> str:
    """
    Return the customer id of a user or a row of `Customer`; a text or a number is an id itself.

    Raises:
        PayloadError: No table keeps it as it is.
    """
    if isinstance(user, Customer):
        return user.customer_id
    if not isinstance(user, str | int | UUID | get_user_model()):
        message = (
            f"customer leads to a value of type {type(user).__name__}: name a path to the user, or an id."
        )
        raise PayloadError(message, field="customerid", reason="not_a_user")
    customer_id = str(user) if isinstance(user, str | int | UUID) else identity.customer_id_of(user, brand)
    payloads.CustomerRecord(customer_id=customer_id).as_dict(UTC)
    return customer_id


def _locked(customer_id: str, brand: str, using: str) -> Customer | None:
    # Where the database knows the difference: a deposit of this customer, whose transaction checks the foreign key when
    # it commits, need not wait for us, and two that wait for each other crosswise would be a deadlock.
    is_shared = connections[using].features.has_select_for_no_key_update
    rows = Customer.objects.using(using).select_for_update(no_key=is_shared)
    return rows.filter(brand=brand, customer_id=customer_id).first()


def _build(  # noqa: PLR0913, PLR0917  a customer has that many sides
    user: Any,
    brand: str,
    touches: Touches | None,
    tracking: Mapping[str, str] | None,
    source: str,
    fields: Mapping[str, FieldValue],
    regtime: datetime | None = None,
) -> Customer:
    """Return an unsaved customer, its attribution decided and checked."""
    first, last = (touches.first, touches.last) if touches else (None, None)
    credited = first if conf.for_brand(brand).ATTRIBUTION == "first" else last
    params = dict(tracking) if tracking else dict(credited.params) if credited else {}
    customer_id = id_of(user, brand)
    payloads.CustomerRecord(customer_id=customer_id, tracking=params, regtime=regtime).as_dict(UTC)
    is_user = isinstance(user, get_user_model())
    return Customer(
        brand=brand,
        customer_id=customer_id,
        user_pk=str(user.pk) if is_user else "",
        tracking=params,
        first_touch=_state(first),
        last_touch=_state(last),
        unattributed_reason="" if params else _why_unattributed(touches),
        source=source,
        regtime=regtime or (identity.regtime_of(user, brand) if is_user else None) or datetime.now(UTC),
        fields=_wire_fields(fields, brand),
    )


def _state(touch: Touch | None) -> dict[str, Any] | None:
    return touch.as_state() if touch else None


def _why_unattributed(touches: Touches | None) -> str:
    if touches is None:
        return "no_request"
    refusals = touches.landing.refusals if touches.landing else ()
    return f"refused_{refusals[-1][1]}" if refusals else "no_parameter"


def _wire_fields(fields: Mapping[str, FieldValue], brand: str) -> payloads.Record:
    """Return additional fields as they are sent; those without a value are left out."""
    for name in conf.for_brand(brand).TRACKING_PARAMS:
        if name in fields:
            message = f"{name} is attribution, which a signup freezes: give it as tracking={{...}} when you report it."
            raise PayloadError(message, field=name, reason="reserved_field")
    values = {name: identity.aware(value) for name, value in fields.items()}
    record = payloads.CustomerRecord(customer_id="-", fields=values).as_dict(conf.time_zone(brand))
    return {name: value for name, value in record.items() if name in fields}


def _complete(stored: Customer, wanted: Customer, *, is_explicit: bool, is_dated: bool = False) -> bool:
    """Bring what this report knows into a row that was there before it; what is frozen stays. Tell if that was news."""
    using = stored._state.db or DEFAULT_DB_ALIAS
    missing = _missing(stored, wanted, is_explicit=is_explicit, is_dated=is_dated)
    is_released = stored.status == Status.HELD and outbox.release_customer(
        stored.pk, using=using, source=wanted.source, **missing
    )
    if missing and not is_released:
        # It was no placeholder any more, or released itself a moment ago.
        outbox.change_customer(stored, **({"source": wanted.source} | missing))
    has_news = _has_news(stored, wanted)
    if has_news:
        locked = _locked(stored.customer_id, stored.brand, using) or stored
        outbox.change_fields(locked, locked.fields | wanted.fields)
    return bool(is_released or missing or has_news)


def _after(stored: Customer, wanted: _Wanted) -> Customer | None:
    """Return a row as `_complete` would leave it, None where it would stay as it is."""
    missing = _missing(stored, wanted.row, is_explicit=wanted.is_explicit, is_dated=wanted.is_dated)
    if not missing and stored.status != Status.HELD and not _has_news(stored, wanted.row):
        return None
    after = copy.copy(stored)
    changes = {**missing, "fields": stored.fields | wanted.row.fields, "status": Status.PENDING}
    for name, value in changes.items():
        setattr(after, name, value)
    return after


def _has_news(stored: Customer, wanted: Customer) -> bool:
    return any(stored.fields.get(name) != value for name, value in wanted.fields.items())


def _missing(
    stored: Customer, wanted: Customer, *, is_explicit: bool, is_dated: bool = False
) -> dict[str, Any]:
    """Return what a row that was written before its signup was reported lacks."""
    changes: dict[str, Any] = {}
    if wanted.tracking and _may_be_attributed(stored, is_explicit=is_explicit):
        names = ("tracking", "first_touch", "last_touch", "unattributed_reason")
        changes |= {name: getattr(wanted, name) for name in names}
    if wanted.user_pk and not stored.user_pk:
        changes |= {"user_pk": wanted.user_pk, "regtime": wanted.regtime}
    if is_dated and stored.source == PLACEHOLDER and stored.regtime != wanted.regtime:
        # Until now it was the time of the first activity.
        changes["regtime"] = wanted.regtime
    return changes


def _may_be_attributed(stored: Customer, *, is_explicit: bool) -> bool:
    """
    Tell whether a row's attribution is still open.

    A signup froze it, with or without a value. Open is a placeholder that an activity wrote (for a value that the host
    passes itself even when Track360 has it: no signup ever froze it), and, for such a value, a row not yet delivered.
    """
    if is_explicit and stored.source == PLACEHOLDER and not stored.tracking:
        return True
    if stored.accepted_version:
        return False
    if is_explicit:
        return stored.status == Status.HELD or not stored.tracking
    return stored.source == PLACEHOLDER and stored.status == Status.HELD
