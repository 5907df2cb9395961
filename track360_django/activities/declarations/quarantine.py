"""
A declared row that can't be reported is kept as a dead record, which says why; here it is decided, made and mended.

The sale goes on: an error of a declaration never costs the host the row.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Model

from track360_django.activities import event_id, lookup, store
from track360_django.activities.brand import brand_of_dead
from track360_django.activities.declarations import reversals
from track360_django.activities.declarations.declaration import Declaration
from track360_django.activities.draft import Draft
from track360_django.exceptions import PayloadError
from track360_django.models import Activity, ActivityKey, Status
from track360_django.outbox import alerts, aliases
from track360_django.outbox.activities import (
    add_activities,
    explain_quarantined,
    flag_changed,
    replace_quarantined,
)

logger = logging.getLogger(__name__)


def keep_reversal(declaration: Declaration, reported: Activity, error: PayloadError, using: str) -> Activity:
    """Keep a reversal that can't be built as a dead record."""
    dead = dead_record(
        (reported.brand, reversals.eventname_of(declaration), reversals.id_of(reported)),
        error,
        source=reversals.source_of(declaration),
        source_pk=reported.source_pk,
    )
    return _keep(dead, error, using)


@dataclass(frozen=True)
class Named:
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
        return self.default_id if "\0" in eventid else event_id.shorten(eventid)


def named(declaration: Declaration, row: Model) -> Named:
    """Return what the dead record of a row would be called."""
    return Named(declaration.eventname, lambda: declaration.id_of(row), declaration.default_id_of(row))


def as_refusal(error: Exception) -> PayloadError:
    """Return why a row can't be reported, also where a function of the host raised."""
    if isinstance(error, PayloadError):
        return error
    message = (
        f"{type(error).__name__} while its record was made: correct the row, or the setting, then requeue."
    )
    return PayloadError(message, reason="declaration")


def raised(declaration: Declaration, error: Exception) -> PayloadError:
    """Return why a row can't be reported of which the declaration itself raised."""
    # Without the error itself: its text and its frames may hold personal data.
    message = (
        f"{type(declaration).__name__} raised {type(error).__name__} for its row: correct it, then requeue."
    )
    return PayloadError(message, reason="declaration")


def keep_row(  # noqa: PLR0913, PLR0917  what is known of a row
    declaration: Declaration,
    row: Model,
    named: Named,
    error: PayloadError,
    using: str,
    draft: Draft | None = None,
) -> Activity:
    """Keep a row that can't be reported as a dead record, so that a person sees it and the sale goes on."""
    source, source_pk, eventid = declaration.model._meta.label, str(declaration.pk_of(row)), named.eventid()
    said = draft or Draft(eventname=named.eventname, customer=None, source=source, source_pk=source_pk)
    brand = brand_of_dead(replace(said, eventid=eventid), using)
    dead = dead_record((brand, named.eventname, eventid), error, source=source, source_pk=source_pk)
    return _keep(dead, error, using)


def dead_record(
    key: ActivityKey, error: PayloadError, *, source: str, source_pk: str, advice: str = ""
) -> Activity:
    """Return the unsaved dead record of something that can't be reported, which says why and, if given, what to do."""
    brand, eventname, eventid = key
    return Activity(
        brand=brand,
        eventname=eventname,
        eventid=eventid,
        body="{}",
        status=Status.DEAD,
        due_at=None,
        reason=error.reason,
        error=(f"{error} {advice}" if advice else str(error))[:500],
        source=source,
        source_pk=source_pk,
    )


def _keep(dead: Activity, error: PayloadError, using: str) -> Activity:
    stored = lookup.find(dead, using)
    if stored is not None and not lookup.is_of_one_row(stored, dead):
        dead.eventid = event_id.of_dead_row(dead.source, dead.source_pk)
        stored = lookup.find(dead, using)
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
            lookup.refuse_taken(lookup.find(wanted, using), wanted)
            return wanted
    except PayloadError:
        raise
    except Exception as error:  # noqa: BLE001  the host's declaration may raise anything, and a person is asking
        raise raised(declaration, error) from None


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
