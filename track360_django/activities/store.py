"""Drafts become records: written down once, one or many; those that are there already go to `corrections`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from django.db import DatabaseError

from track360_django import customers
from track360_django.activities import corrections, lookup
from track360_django.activities.brand import Place, place_of, places_of
from track360_django.activities.draft import (
    Draft,
    attach,
    build_record,
    key_of_owner,
    owners_of,
    refuse_missing_customer,
)
from track360_django.conf import BrandError
from track360_django.exceptions import PayloadError
from track360_django.models import Activity, ActivityKey, Status
from track360_django.outbox import wakeup
from track360_django.outbox.activities import (
    add_activities,
    add_activity,
    add_beside_customer,
    drop_quarantined,
    note_own,
)

# Told of a draft that can't be written down: its place among those that were given, and why; a `PayloadError`, or what
# a function or setting of the host raised.
Refuse = Callable[[int, Exception], None]


def write(draft: Draft, using: str) -> tuple[Activity, bool]:
    """
    Write a draft down, after its customer if nobody reported them yet, and ask for its delivery.

    Returns:
        The record, and whether it is news. One that is none was neither read nor compared.
    """
    place, brand, customer_id = _whose(draft, using)
    activity = build_record(draft, brand, customer_id)
    is_news = add_beside_customer(activity, customer_id, using=using)
    if not is_news:
        attach(activity, customers.of(draft.customer, brand, using=using))
        is_news = add_activity(activity, using=using)
    if is_news:
        wakeup.after_commit(using=using)
        note_own([activity], using=using)
    _drop(place.stale, using)
    return activity, is_news


def _whose(draft: Draft, using: str) -> tuple[Place, str, str]:
    """Return where a draft belongs, its brand and its customer's id."""
    refuse_missing_customer(draft.customer)
    place = place_of(draft, using)
    if isinstance(place.brand, BrandError):
        raise place.brand
    return place, place.brand, customers.id_of(draft.customer, place.brand)


def _drop(stale: Iterable[int], using: str) -> None:
    """Delete dead records that stood for a row at another brand than it turned out to be of."""
    for pk in stale:
        drop_quarantined(pk, using=using)


def key_of_draft(draft: Draft, using: str) -> tuple[str, str]:
    """
    Return brand and customer id of a draft.

    Raises:
        PayloadError: It is nobody's, or nobody can tell the brand.
    """
    _, brand, customer_id = _whose(draft, using)
    return brand, customer_id


def write_built(activity: Activity, using: str) -> Activity:
    """Write a record down that is built and has its customer, unless it is there already; return what is there."""
    if add_activity(activity, using=using):
        wakeup.after_commit(using=using)
        note_own([activity], using=using)
        return activity
    return lookup.read(activity, using)


def write_down(draft: Draft, using: str) -> Activity:
    """Return an unsaved record; its customer is registered if nobody reported them yet."""
    brand, customer_id = key_of_draft(draft, using)
    activity = build_record(draft, brand, customer_id)
    return attach(activity, customers.of(draft.customer, brand, using=using))


class _Built(NamedTuple):
    """A draft and its unsaved record, with its place among those that were given."""

    place: int
    draft: Draft
    activity: Activity
    stale: tuple[int, ...] = ()


def write_many(wanted: Sequence[Draft], using: str, *, refuse: Refuse) -> int:
    """
    Write many drafts down in a few statements, and compare those that are there already, as `corrections.compare` does.

    Call it in a transaction.

    Args:
        wanted: The drafts: a thousand or so at a time.
        using: Alias of the database.
        refuse: Called for each draft that can't be written down; the others are, unless it raises.

    Returns:
        How many are news.
    """
    built = _one_of_each(_build_each(wanted, using, refuse), refuse)
    stored = lookup.stored_like([each.activity for each in built], using)
    _insert([each for each in built if each.activity.key not in stored], using)
    _drop((pk for each in built for pk in each.stale), using)
    for each in built:
        if known := stored.get(each.activity.key):
            try:
                _compare_given(known, each, using)
            except PayloadError as error:
                refuse(each.place, error)
    return len(built) - len(stored)


def _compare_given(known: Activity, given: _Built, using: str) -> None:
    lookup.refuse_taken(known, given.activity)
    if known.status == Status.DEAD:
        owner = customers.of(given.draft.customer, given.activity.brand, using=using)
        attach(given.activity, owner)
    corrections.compare_latest(
        known, given.activity, is_time_given=given.draft.createtime is not None, using=using
    )


def _one_of_each(built: Iterable[_Built], refuse: Refuse) -> list[_Built]:
    """Return the last of those with the same id; one that is of another row of the host is refused."""
    last: dict[ActivityKey, _Built] = {}
    for each in built:
        key = each.activity.key
        try:
            lookup.refuse_taken(last[key].activity if key in last else None, each.activity)
        except PayloadError as error:
            refuse(each.place, error)
        else:
            last[key] = each
    return [*last.values()]


def _build_each(wanted: Sequence[Draft], using: str, refuse: Refuse) -> Iterator[_Built]:
    ids: dict[tuple[str, type, object], str] = {}
    places = places_of(wanted, using)
    for index, (draft, place) in enumerate(zip(wanted, places, strict=True)):
        try:
            refuse_missing_customer(draft.customer)
            if isinstance(place.brand, BrandError):
                raise place.brand  # noqa: TRY301  all of a draft is refused in one place
            owner = (place.brand, *key_of_owner(draft.customer))
            if owner not in ids:
                ids[owner] = customers.id_of(draft.customer, place.brand)
            yield _Built(index, draft, build_record(draft, place.brand, ids[owner]), place.stale)
        except DatabaseError:
            raise
        except Exception as error:  # noqa: BLE001  one draft, or a function of the host for it, stops no other
            refuse(index, error)


def _insert(news: list[_Built], using: str) -> None:
    if not news:
        return
    owners = owners_of(((each.activity.brand, each.draft.customer) for each in news), using)
    added = [
        attach(each.activity, owners[each.activity.brand, *key_of_owner(each.draft.customer)])
        for each in news
    ]
    add_activities(added, using=using)
    wakeup.after_commit(using=using)
    note_own(added, using=using)
