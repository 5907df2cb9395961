"""Declared rows become records, and reversals of them: one in a hook, a thousand in one statement."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, NamedTuple

from django.db import connections, transaction
from django.db.models import Model

from track360_django.activities import corrections, lookup, store
from track360_django.activities.declarations import quarantine, reversals
from track360_django.activities.declarations.declaration import Declaration
from track360_django.activities.draft import Draft
from track360_django.exceptions import PayloadError
from track360_django.models import Activity
from track360_django.outbox.activities import replace_quarantined

ROWS_AT_ONCE: Final = 1000


@dataclass(frozen=True, kw_only=True)
class Written:
    """How many records are news, and how many rows can't be reported: their records are dead and say why."""

    added: int = 0
    refused: int = 0

    def __add__(self, other: Written) -> Written:
        return Written(added=self.added + other.added, refused=self.refused + other.refused)


def write_row(declaration: Declaration, row: Model, using: str) -> Activity:
    """Write a row's activity down, or compare it with the one that is there; the record may have no key yet."""
    return _write(
        declaration, row, lambda: declaration.draft_of(row), quarantine.named(declaration, row), using
    )


def reverse_row(declaration: Declaration, row: Model, using: str) -> Activity | None:
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
        return quarantine.keep_reversal(declaration, reported, error, using)
    if told is not None:
        replace_quarantined(told.pk, reversal, using=using)
        return reversal
    return store.write_built(reversal, using)


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
        return reverse_row(declaration, row, using)


def _may_name_locks(alias: str) -> bool:
    return bool(connections[alias].features.has_select_for_update_of)


def _write(
    declaration: Declaration, row: Model, make: Callable[[], Draft], named: quarantine.Named, using: str
) -> Activity:
    draft: Draft | None = None
    try:
        draft = make()
        wanted, is_news = store.write(draft, using)
        if is_news:
            return wanted
        stored = lookup.read(wanted, using)
        lookup.refuse_taken(stored, wanted)
    except PayloadError as error:
        return quarantine.keep_row(declaration, row, named, error, using, draft)
    corrections.compare_latest(stored, wanted, is_time_given=draft.createtime is not None, using=using)
    return stored


class _Refused(NamedTuple):
    """A row that can't be reported, and why; with what it says, if that could be read."""

    row: Model
    error: PayloadError
    draft: Draft | None = None


def write_rows(declaration: Declaration, rows: Iterable[Model], using: str, *, is_strict: bool) -> Written:
    """Write the activities of many rows down, a thousand at a time, each thousand in a transaction."""
    total = Written()
    remaining = iter(rows)
    while chunk := list(islice(remaining, ROWS_AT_ONCE)):
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
        refused.append(_Refused(row, quarantine.as_refusal(error), draft))

    with transaction.atomic(using=using):
        added = store.write_many(
            [draft for _, draft in readable],
            using,
            refuse=refuse,
        )
        for row, error, draft in refused:
            quarantine.keep_row(declaration, row, quarantine.named(declaration, row), error, using, draft)
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
            refused.append(_Refused(row, quarantine.raised(declaration, error)))
