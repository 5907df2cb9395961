"""Checks that the declarations in the apps' `track360.py` files can be reported."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from typing import Any

from django.core.checks import CheckMessage, Warning  # noqa: A004  Django's name
from django.core.exceptions import FieldError
from django.db.models import Q

from track360_django import activities, conf
from track360_django.activities.declarations import ledger, reversals
from track360_django.api import payloads
from track360_django.checks.messages import mistake
from track360_django.daily.regrouping import names_per_event
from track360_django.db.paths import find_missing


def check_declarations(**_: Any) -> list[CheckMessage]:
    """Check the declarations in the apps' `track360.py` files."""
    each = [
        message for declaration in activities.declarations() for message in _check_declaration(declaration)
    ]
    days = [
        message for declaration in activities.daily_declarations() for message in _check_daily(declaration)
    ]
    return [*each, *_check_products(), *_check_ids(), *_check_reversals(), *_check_names(), *days]


def _check_daily(declaration: activities.DailyActivity) -> Iterator[CheckMessage]:
    kind = type(declaration)
    where = f"{kind.__module__}.{kind.__qualname__}"
    eventname: Any = declaration.eventname
    if not eventname or len(eventname) > payloads.MAX_EVENTNAME_CHARACTERS:
        message = f"{where} has no eventname of 1 to {payloads.MAX_EVENTNAME_CHARACTERS} characters. No day is compiled."
        yield mistake(
            "E019", message, 'Name the KPI as agreed with Track360, such as eventname = "DailyStats".'
        )
    if kind.rows is activities.DailyActivity.rows:
        hint = "Write rows(self, day): it yields mappings with customer, currency, and a number for each KPI name."
        yield mistake("E020", f"{where} has no rows(), so no day can be compiled.", hint)
    for name in sorted(names_per_event() & {declaration.eventname, *declaration.numbers()}):
        hint = (
            "Report it per event or per day, as agreed with Track360, not both (API guide, Grouping by date)."
        )
        message = f"{where}: {name} is also reported per event and may count twice."
        yield Warning(message, hint=hint, id="track360_django.W005")
    yield from _check_window(declaration, where)
    yield from _check_unknown(declaration.unknown_attributes(), declaration.attributes(), where)


def _check_window(declaration: activities.DailyActivity, where: str) -> Iterator[CheckMessage]:
    days = min(conf.for_brand(brand).RETENTION_DAYS for brand in conf.brands())
    window: Any = declaration.window_days
    if not isinstance(window, int) or not 0 < window <= days:
        message = f"{where}: window_days = {window!r}, but bodies are kept for {days} days."
        hint = "Use 1 to RETENTION_DAYS. A pruned total can't be compared, so its corrections would be lost."
        yield Warning(message, hint=hint, id="track360_django.W006")


def _check_declaration(declaration: activities.ModelActivity) -> Iterator[CheckMessage]:
    """Check one declaration. Without this check, a misspelt name would fail at the first sale that uses it."""
    kind = type(declaration)
    where = f"{kind.__module__}.{kind.__qualname__}"
    if not _is_eventname(declaration.eventname):
        hint = f'Name the KPI as agreed, such as "Deposit": at most {payloads.MAX_EVENTNAME_CHARACTERS} characters.'
        yield mistake(
            "E017", f"{where} has no eventname that can be sent. Every row would become a dead record.", hint
        )
    for name, path in {**declaration.paths(), **declaration.fields}.items():
        missing = path is not None and find_missing(declaration.model, path)
        if missing:
            label = declaration.model._meta.label
            message = (
                f"{where}: {name} = {path!r} does not exist: {label} and its relations have no {missing!r}."
            )
            yield mistake(
                "E015", message, "Name a field or a path such as 'account__user', or write a get_ method."
            )
    yield from _check_condition(declaration, where)
    yield from _check_age(declaration, where)
    if declaration.on_reverse is not None and not _is_eventname(declaration.on_reverse):
        hint = 'Write "negative", or the agreed event name for reversals, such as "Chargeback".'
        yield mistake("E023", f"{where}: on_reverse is neither None nor an event name.", hint)
    yield from _check_unknown(declaration.unknown_attributes(), declaration.paths(), where)


def _is_eventname(name: object) -> bool:
    return isinstance(name, str) and 0 < len(name) <= payloads.MAX_EVENTNAME_CHARACTERS


def _check_age(declaration: activities.ModelActivity, where: str) -> Iterator[CheckMessage]:
    """Check that reconciliation, which reads the rows of the last days, can find out how old a row is."""
    if ledger.column_of_date(declaration) is not None:
        return
    hint = 'Name a column of dates or times of the model, such as dated_by = "created_at".'
    if declaration.dated_by is not None:
        yield mistake("E022", f"{where}: dated_by = {declaration.dated_by!r} is not a column of dates.", hint)
        return
    message = (
        f"{where} names no column with the age of a row. Reconciliation reads the whole table every hour."
    )
    yield Warning(message, hint=hint, id="track360_django.W009")


def _check_unknown(names: Iterable[str], known: Iterable[str], where: str) -> Iterator[CheckMessage]:
    for name in names:
        close = get_close_matches(name, list(known), n=1)
        hint = (
            f"Did you mean {close[0]!r}?" if close else "Start its name with an underscore if it is your own."
        )
        message = f"{where} has the unknown attribute {name!r}, which has no effect."
        yield Warning(message, hint=hint, id="track360_django.W003")


def _check_condition(declaration: activities.ModelActivity, where: str) -> Iterator[CheckMessage]:
    try:
        declaration.model._base_manager.filter(declaration.when or Q())
    except (FieldError, ValueError, TypeError) as error:
        hint = "Correct `when`: it is a Q over the model's own fields and relations."
        yield mistake("E016", f"{where}: `when` can't filter {declaration.model._meta.label}: {error}", hint)


def _check_ids() -> Iterator[CheckMessage]:
    """Check default ids. Rows of two models may have the same primary key, and then the same default id."""
    first: dict[str, activities.ModelActivity] = {}
    for declaration in activities.declarations():
        if declaration.eventid is not None or hasattr(declaration, "get_eventid"):
            continue
        other = first.setdefault(declaration.eventname, declaration)
        if other.model is not declaration.model:
            names = f"{type(other).__name__} and {type(declaration).__name__}"
            message = (
                f"{names} both report {declaration.eventname!r} with event ids made of their rows' primary keys. Two rows "
                "may get the same id."
            )
            yield mistake("E014", message, "Give one of them an `eventid` that is unique for the event name.")


def _check_names() -> Iterator[CheckMessage]:
    """
    Check the event names of declarations against `EVENTS`.

    Both have the names as declared: the shape of a product may change a name later.
    """
    agreed = [tuple(conf.for_brand(brand).EVENTS) for brand in conf.brands()]
    if not all(agreed):
        # A brand without a list accepts any name.
        return
    known = sorted({name for names in agreed for name in names})
    declared: list[activities.ModelActivity | activities.DailyActivity] = [
        *activities.declarations(),
        *activities.daily_declarations(),
    ]
    for declaration in declared:
        for name in _names_of(declaration):
            if name and name not in known:
                close = get_close_matches(name, known, n=1)
                hint = f"Did you mean {close[0]!r}?" if close else f"Agreed are: {', '.join(known)}."
                message = (
                    f"{type(declaration).__name__} reports {name!r}, which is not one of the agreed EVENTS. Track360 may "
                    "not show it."
                )
                yield Warning(message, hint=hint, id="track360_django.W007")


def _names_of(declaration: activities.ModelActivity | activities.DailyActivity) -> Iterator[str]:
    yield declaration.eventname
    reversal = getattr(declaration, "on_reverse", None)
    if isinstance(reversal, str) and reversal != "negative":
        yield reversal


def _check_reversals() -> Iterator[CheckMessage]:
    """Check reversals. Two records of one row with the same id would share one reversal: the first one reported."""
    first: dict[tuple[object, ...], activities.ModelActivity] = {}
    for declaration in activities.declarations():
        if declaration.on_reverse is None or declaration.eventid is None:
            continue
        key = (declaration.model, declaration.eventid, reversals.eventname_of(declaration))
        other = first.setdefault(key, declaration)
        if other is not declaration:
            names = f"{type(other).__name__} and {type(declaration).__name__}"
            message = f"{names} report their reversals under the same event name and id, so only one of the two is reported."
            yield mistake("E024", message, "Give one of them an `eventid`, or an `on_reverse`, of its own.")


def _check_products() -> list[CheckMessage]:
    has_field = all(conf.for_brand(brand).PRODUCT_FIELD for brand in conf.brands())
    return [
        mistake(
            "E013",
            f"{type(declaration).__name__} reports a product, but PRODUCT_FIELD is not set.",
            "Set TRACK360['PRODUCT_FIELD'] to the field name agreed with Track360 (API guide, Grouping by date or by "
            "KPI type) or to a shape such as 'track360_django.products.suffix', or remove `product`.",
        )
        for declaration in activities.declarations()
        if not has_field and (declaration.product is not None or hasattr(declaration, "get_product"))
    ]
