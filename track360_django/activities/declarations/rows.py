"""Rows become records: one in a hook, a thousand in one statement; one that can't is kept as a dead record."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Final, NamedTuple

from django.core.exceptions import ValidationError
from django.db import connections, transaction
from django.db.models import Model

from track360_django.activities import brand as belonging
from track360_django.activities import draft as drafts
from track360_django.activities import store
from track360_django.activities.declarations import reversals
from track360_django.activities.declarations.declaration import Declaration
from track360_django.activities.draft import Draft
from track360_django.exceptions import PayloadError
from track360_django.models import Activity, Status
from track360_django.outbox import alerts, aliases
from track360_django.outbox.activities import (
    add_activities,
    explain_quarantined,
    flag_changed,
    replace_quarantined,
)

logger = logging.getLogger(__name__)

MANY: Final = 1000


@dataclass(frozen=True, kw_only=True)
class Written:
    """How many records are news, and how many rows can't be reported: their records are dead and say why."""

    added: int = 0
    refused: int = 0

    def __add__(self, other: Written) -> Written:
        return Written(added=self.added + other.added, refused=self.refused + other.refused)


def write(declaration: Declaration, row: Model, using: str) -> Activity:
    """Write a row's activity down, or compare it with the one that is there; the record may have no key yet."""
    return _write(declaration, row, lambda: declaration.draft_of(row), _named(declaration, row), using)


def reverse(declaration: Declaration, row: Model, using: str) -> Activity | None:
    """
    Write down that a row which was reported no longer counts, as `on_reverse` says.

    Call it in the transaction that changed the row, or with the row locked.

    Returns:
        The reversal, which may be one written earlier; None where the row never was reported.
    """
    try:
        reported = reversals.find_reported(declaration, row, using)
    except PayloadError:
        # Without an id nothing was reported.
        return None
    return None if reported is None else reverse_record(declaration, reported, row, using)


def reverse_record(declaration: Declaration, reported: Activity, row: Model | None, using: str) -> Activity:
    """Write the reversal of a record down, once; its row may be gone."""
    told = reversals.find_reversal(declaration, reported, using)
    if told is not None and told.customer_id is not None:
        # What was told stays, whatever became of the row.
        return told
    try:
        reversal = reversals.build(declaration, reported, row)
    except PayloadError as error:
        return _quarantine_reversal(declaration, reported, error, using)
    if told is not None:
        replace_quarantined(told.pk, reversal, using=using)
        return reversal
    return store.write_built(reversal, using)


def _quarantine_reversal(
    declaration: Declaration, reported: Activity, error: PayloadError, using: str
) -> Activity:
    dead = _dead(reversals.eventname_of(declaration), reversals.id_of(reported), error)
    dead.brand = reported.brand
    dead.source, dead.source_pk = reversals.source_of(declaration), reported.source_pk
    return _keep(dead, error, using)


def reverse_locked(declaration: Declaration, pk: Any, alias: str, using: str) -> Activity | None:
    """
    Reverse a row that was seen not to count any more, if that is still so: it may have been paid a moment ago.

    Returns:
        The reversal, which may be one written earlier; None where there is none to tell.
    """
    with transaction.atomic(using=alias), transaction.atomic(using=using):
        rows = declaration.model._base_manager.using(alias).filter(pk=pk)
        row = rows.select_for_update(of=("self",) if _may_name_locks(alias) else ()).first()
        if row is None or declaration.due_rows(alias).filter(pk=pk).exists():
            return None
        return reverse(declaration, row, using)


def _may_name_locks(alias: str) -> bool:
    return bool(connections[alias].features.has_select_for_update_of)


@dataclass(frozen=True)
class _Named:
    """What a record is called that can't be written down: the id it will have, and one where that is the fault."""

    eventname: str
    read_id: Callable[[], str]
    default_id: str

    def eventid(self) -> str:
        """Return the id that the record will have once it can be reported, where that id is none of the faults."""
        try:
            eventid = self.read_id()
            eventid.encode()
        except Exception:  # noqa: BLE001  a method of the host makes it
            return self.default_id
        return self.default_id if "\0" in eventid else drafts.shorten(eventid)


def _named(declaration: Declaration, row: Model) -> _Named:
    return _Named(declaration.eventname, lambda: declaration.id_of(row), declaration.default_id_of(row))


def _write(
    declaration: Declaration, row: Model, make: Callable[[], Draft], named: _Named, using: str
) -> Activity:
    draft: Draft | None = None
    try:
        draft = make()
        wanted, is_news = store.write(draft, using)
        if is_news:
            return wanted
        stored = store.read(wanted, using)
        store.refuse_taken(stored, wanted)
    except PayloadError as error:
        return _quarantine(declaration, row, named, error, using, draft)
    store.compare_latest(stored, wanted, is_time_given=draft.createtime is not None, using=using)
    return stored


class _Refused(NamedTuple):
    """A row that can't be reported, and why; with what it says, if that could be read."""

    row: Model
    error: PayloadError
    draft: Draft | None = None


def write_many(declaration: Declaration, rows: Iterable[Model], using: str, *, is_strict: bool) -> Written:
    """Write the activities of many rows down, a thousand at a time, each thousand in a transaction."""
    total = Written()
    remaining = iter(rows)
    while chunk := list(islice(remaining, MANY)):
        total += _write_chunk(declaration, chunk, using, is_strict=is_strict)
    return total


def _write_chunk(declaration: Declaration, chunk: list[Model], using: str, *, is_strict: bool) -> Written:
    refused: list[_Refused] = []
    # Outside of our transaction: a query of the declaration that fails must not ruin it.
    readable = list(_read_each(declaration, chunk, refused, is_strict=is_strict))

    def refuse(place: int, error: Exception) -> None:
        if is_strict and not isinstance(error, PayloadError):
            raise error
        row, draft = readable[place]
        refused.append(_Refused(row, _as_refusal(error), draft))

    with transaction.atomic(using=using):
        added = store.write_many(
            [draft for _, draft in readable],
            using,
            refuse=refuse,
        )
        for row, error, draft in refused:
            _quarantine(declaration, row, _named(declaration, row), error, using, draft)
    return Written(added=added, refused=len(refused))


def _read_each(
    declaration: Declaration,
    chunk: list[Model],
    refused: list[_Refused],
    *,
    is_strict: bool,
) -> Iterator[tuple[Model, Draft]]:
    for row in chunk:
        try:
            yield row, declaration.draft_of(row)
        except PayloadError as error:
            refused.append(_Refused(row, error))
        except Exception as error:
            if is_strict:
                raise
            refused.append(_Refused(row, _raised(declaration, error)))


def _as_refusal(error: Exception) -> PayloadError:
    """Return why a row can't be reported, also where a function of the host raised."""
    if isinstance(error, PayloadError):
        return error
    message = (
        f"{type(error).__name__} while its record was made: correct the row, or the setting, then requeue."
    )
    return PayloadError(message, reason="declaration")


def _raised(declaration: Declaration, error: Exception) -> PayloadError:
    # Without the error itself: its text and its frames may hold personal data.
    message = (
        f"{type(declaration).__name__} raised {type(error).__name__} for its row: correct it, then requeue."
    )
    return PayloadError(message, reason="declaration")


def _quarantine(  # noqa: PLR0913, PLR0917  what is known of a row
    declaration: Declaration,
    row: Model,
    named: _Named,
    error: PayloadError,
    using: str,
    draft: Draft | None = None,
) -> Activity:
    """Keep a row that can't be reported as a dead record, so that a person sees it and the sale goes on."""
    dead = _dead(named.eventname, named.eventid(), error)
    dead.source, dead.source_pk = declaration.model._meta.label, str(declaration.pk_of(row))
    said = draft or Draft(
        eventname=dead.eventname, customer=None, source=dead.source, source_pk=dead.source_pk
    )
    dead.brand = belonging.of_dead(replace(said, eventid=dead.eventid), using)
    return _keep(dead, error, using)


def _dead(eventname: str, eventid: str, error: PayloadError) -> Activity:
    return Activity(
        eventname=eventname,
        eventid=eventid,
        body="{}",
        status=Status.DEAD,
        due_at=None,
        reason=error.reason,
        error=str(error)[:500],
    )


def _keep(dead: Activity, error: PayloadError, using: str) -> Activity:
    stored = store.find(dead, using)
    if stored is not None and not store.is_of_one_row(stored, dead):
        dead.eventid = f"{dead.source}-{dead.source_pk}"
        stored = store.find(dead, using)
    if stored is None:
        add_activities([dead], using=using)
        alerts.record_dead(
            Activity, brand=dead.brand, pk=None, name=str(dead), reason=f"{error.reason}: {error}"
        )
        return dead
    if stored.customer_id is None:
        explain_quarantined(stored.pk, reason=error.reason, error=str(error), using=using)
    elif flag_changed(stored.pk, using=using):
        logger.warning(
            "track360: the row of %s can't be reported any more (%s); what was reported stays, it is flagged.",
            stored,
            error.reason,
        )
    return stored


def mend(declaration: Declaration, quarantined: Activity) -> bool:
    """
    Read a quarantined activity from its row again.

    Returns:
        False when it still can't be reported; the record then says why.
    """
    using = quarantined._state.db or aliases.home()
    try:
        wanted = _read_again(declaration, quarantined, using)
    except PayloadError as error:
        explain_quarantined(quarantined.pk, reason=error.reason, error=str(error), using=using)
        return False
    replace_quarantined(quarantined.pk, wanted, using=using)
    return True


def _read_again(declaration: Declaration, quarantined: Activity, using: str) -> Activity:
    row = _row_of(declaration, quarantined)
    try:
        # In a savepoint: a query of the declaration that fails must not ruin the caller's transaction.
        with transaction.atomic(using=using):
            if is_reversal(declaration, quarantined):
                return _reversal_again(declaration, row, quarantined, using)
            _refuse_not_due(declaration, row, quarantined, is_wanted=True)
            wanted = store.write_down(declaration.draft_of(row), using)
            store.refuse_taken(store.find(wanted, using), wanted)
            return wanted
    except PayloadError:
        raise
    except Exception as error:  # noqa: BLE001  the host's declaration may raise anything, and a person is asking
        raise _raised(declaration, error) from None


def is_reversal(declaration: Declaration, activity: Activity) -> bool:
    """Tell whether a record is a reversal of a declaration's rows."""
    return declaration.on_reverse is not None and activity.source == reversals.source_of(declaration)


def _reversal_again(declaration: Declaration, row: Model, quarantined: Activity, using: str) -> Activity:
    _refuse_not_due(declaration, row, quarantined, is_wanted=False)
    reported = reversals.find_reported(declaration, row, using)
    if reported is None:
        message = (
            f"{quarantined.source} {quarantined.source_pk} was never reported: there is nothing to take back."
        )
        raise PayloadError(message, reason="row_not_due")
    return reversals.build(declaration, reported, row)


def _refuse_not_due(declaration: Declaration, row: Model, quarantined: Activity, *, is_wanted: bool) -> None:
    if declaration.is_due(row) is not is_wanted:
        whether = "no longer fulfils" if is_wanted else "fulfils, again,"
        message = f"Its row, {quarantined.source} {quarantined.source_pk}, {whether} `when`."
        raise PayloadError(message, reason="row_not_due")


def _row_of(declaration: Declaration, quarantined: Activity) -> Any:
    # From where it was corrected: a replica may lag behind.
    using = aliases.of_source(declaration.model, quarantined)
    rows = declaration.model._base_manager.using(using)
    try:
        row = rows.filter(pk=quarantined.source_pk).first()
    except (TypeError, ValueError, ValidationError):
        row = None
    if row is None:
        message = (
            f"Its row, {quarantined.source} {quarantined.source_pk}, is gone: there is nothing to report."
        )
        raise PayloadError(message, reason="row_gone")
    return row
