"""Drafts become records: written down once, one or many, and compared with what was written down before."""

from __future__ import annotations

import json
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from django.db import DatabaseError, transaction
from django.db.models import QuerySet

from track360_django import conf, customers
from track360_django.activities import brand as belonging
from track360_django.activities import draft as drafts
from track360_django.activities.brand import Place
from track360_django.activities.draft import Draft
from track360_django.conf import BrandError
from track360_django.db.lookups import is_one_of
from track360_django.exceptions import PayloadError
from track360_django.models import Activity, Status
from track360_django.outbox import dead_letters, wakeup
from track360_django.outbox.activities import (
    add_activities,
    add_activity,
    add_beside_customer,
    correct_activity,
    correct_unsent,
    drop_quarantined,
    flag_changed,
    note_own,
    replace_dead,
    replace_quarantined,
)

logger = logging.getLogger(__name__)

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
    activity = drafts.build(draft, brand, customer_id)
    is_news = add_beside_customer(activity, customer_id, using=using)
    if not is_news:
        drafts.attach(activity, customers.of(draft.customer, brand, using=using))
        is_news = add_activity(activity, using=using)
    if is_news:
        wakeup.after_commit(using=using)
        note_own([activity], using=using)
    _drop(place.stale, using)
    return activity, is_news


def _whose(draft: Draft, using: str) -> tuple[Place, str, str]:
    """Return where a draft belongs, its brand and its customer's id."""
    drafts.refuse_nobody(draft.customer)
    place = belonging.of(draft, using)
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
    return read(activity, using)


def write_down(draft: Draft, using: str) -> Activity:
    """Return an unsaved record; its customer is registered if nobody reported them yet."""
    brand, customer_id = key_of_draft(draft, using)
    activity = drafts.build(draft, brand, customer_id)
    return drafts.attach(activity, customers.of(draft.customer, brand, using=using))


class _Built(NamedTuple):
    """A draft and its unsaved record, with its place among those that were given."""

    place: int
    draft: Draft
    activity: Activity
    stale: tuple[int, ...] = ()


def write_many(wanted: Sequence[Draft], using: str, *, refuse: Refuse) -> int:
    """
    Write many drafts down in a few statements, and compare those that are there already, as `compare` does.

    Call it in a transaction.

    Args:
        wanted: The drafts: a thousand or so at a time.
        using: Alias of the database.
        refuse: Called for each draft that can't be written down; the others are, unless it raises.

    Returns:
        How many are news.
    """
    built = _one_of_each(_build_each(wanted, using, refuse), refuse)
    stored = stored_like([each.activity for each in built], using)
    _insert([each for each in built if key_of(each.activity) not in stored], using)
    _drop((pk for each in built for pk in each.stale), using)
    for each in built:
        if known := stored.get(key_of(each.activity)):
            try:
                _compare_given(known, each, using)
            except PayloadError as error:
                refuse(each.place, error)
    return len(built) - len(stored)


def _compare_given(known: Activity, given: _Built, using: str) -> None:
    refuse_taken(known, given.activity)
    if known.status == Status.DEAD:
        owner = customers.of(given.draft.customer, given.activity.brand, using=using)
        drafts.attach(given.activity, owner)
    compare_latest(known, given.activity, is_time_given=given.draft.createtime is not None, using=using)


def _one_of_each(built: Iterable[_Built], refuse: Refuse) -> list[_Built]:
    """Return the last of those with the same id; one that is of another row of the host is refused."""
    last: dict[tuple[str, ...], _Built] = {}
    for each in built:
        key = key_of(each.activity)
        try:
            refuse_taken(last[key].activity if key in last else None, each.activity)
        except PayloadError as error:
            refuse(each.place, error)
        else:
            last[key] = each
    return [*last.values()]


def _build_each(wanted: Sequence[Draft], using: str, refuse: Refuse) -> Iterator[_Built]:
    ids: dict[tuple[str, type, object], str] = {}
    places = belonging.of_many(wanted, using)
    for index, (draft, place) in enumerate(zip(wanted, places, strict=True)):
        try:
            drafts.refuse_nobody(draft.customer)
            if isinstance(place.brand, BrandError):
                raise place.brand  # noqa: TRY301  all of a draft is refused in one place
            owner = (place.brand, *drafts.key_of(draft.customer))
            if owner not in ids:
                ids[owner] = customers.id_of(draft.customer, place.brand)
            yield _Built(index, draft, drafts.build(draft, place.brand, ids[owner]), place.stale)
        except DatabaseError:
            raise
        except Exception as error:  # noqa: BLE001  one draft, or a function of the host for it, stops no other
            refuse(index, error)


def _insert(news: list[_Built], using: str) -> None:
    if not news:
        return
    owners = drafts.owners_of(((each.activity.brand, each.draft.customer) for each in news), using)
    added = [
        drafts.attach(each.activity, owners[each.activity.brand, *drafts.key_of(each.draft.customer)])
        for each in news
    ]
    add_activities(added, using=using)
    wakeup.after_commit(using=using)
    note_own(added, using=using)


def key_of(activity: Activity) -> tuple[str, ...]:
    """Return what tells activities apart."""
    return activity.brand, activity.eventname, activity.eventid


def stored_like(wanted: Iterable[Activity], using: str) -> dict[tuple[str, ...], Activity]:
    """Return the records that are in the table under the ids of these, by their keys."""
    groups: dict[tuple[str, str], list[str]] = defaultdict(list)
    for activity in wanted:
        groups[activity.brand, activity.eventname].append(activity.eventid)
    rows = Activity.objects.using(using)
    return {
        key_of(stored): stored
        for (brand, eventname), ids in groups.items()
        for stored in rows.filter(is_one_of("eventid", ids), brand=brand, eventname=eventname)
    }


def find(wanted: Activity, using: str) -> Activity | None:
    """Return the record that is in the table under the same id, None when there is none."""
    return _same_id(wanted, using).first()


def _same_id(wanted: Activity, using: str) -> QuerySet[Activity]:
    key = {"brand": wanted.brand, "eventname": wanted.eventname, "eventid": wanted.eventid}
    return Activity.objects.using(using).filter(**key)


def read(wanted: Activity, using: str) -> Activity:
    """Return the record that is in the table under the same id; a locking read where the host's snapshot is older."""
    stored = find(wanted, using)
    if stored is None:
        with transaction.atomic(using=using):
            stored = _same_id(wanted, using).select_for_update().get()
    return stored


# Note [Latest body]
# Until its first attempt a record says what its row says now. Then its bytes are fixed: Track360 may have them, even
# where no answer came, and another body under the same id would be a second truth. So a changed row changes the body
# of a record that nobody can have sent (`outbox.correct_unsent`), and flags one that was.


def compare(stored: Activity, wanted: Activity, *, is_time_given: bool, using: str) -> bool:
    """
    Deal with an activity that was written down before with other content.

    One that was quarantined is replaced, one that was never sent gets the latest body, one that was sent is flagged or
    sent again as `CORRECTIONS` says.

    Returns:
        False, with nothing written, when the record changed since it was read.
    """
    if stored.customer_id is None:
        # It was quarantined, and its row has been corrected.
        replace_quarantined(stored.pk, wanted, using=using)
    elif says_the_same(stored, wanted, is_time_given=is_time_given):
        return True
    elif _is_of_somebody_else(stored, wanted):
        _deal_with_other_customer(stored, wanted, using=using)
    elif not _correct(stored, wanted, using):
        return _flag(stored, using)
    wakeup.after_commit(using=using)
    return True


def _correct(stored: Activity, wanted: Activity, using: str) -> bool:
    """Give a record its latest body, where it may have one; see Note [Latest body]."""
    if not _is_refused(stored) and correct_unsent(stored, wanted.body, using=using):
        return True
    may_go_again = _is_refused(stored) or _is_resent(stored, wanted)
    return may_go_again and correct_activity(stored, wanted.body, using=using)


def compare_latest(stored: Activity, wanted: Activity, *, is_time_given: bool, using: str) -> None:
    """As `compare`, for content that is the latest there is: a record that changed meanwhile is read again."""
    if not compare(stored, wanted, is_time_given=is_time_given, using=using):
        with transaction.atomic(using=using):
            latest = _same_id(wanted, using).select_for_update().get()
            compare(latest, wanted, is_time_given=is_time_given, using=using)


def _is_refused(stored: Activity) -> bool:
    """Tell whether Track360 certainly has nothing of a record that is dead; of one that was tried before it may."""
    is_certain = stored.attempts <= 1 and stored.reason not in dead_letters.UNCERTAIN
    return stored.status == Status.DEAD and not stored.accepted_version and is_certain


def _is_resent(stored: Activity, wanted: Activity) -> bool:
    return conf.for_brand(stored.brand).CORRECTIONS == "resend" and not _is_renamed(stored, wanted)


def _flag(stored: Activity, using: str) -> bool:
    """Flag a record for a person; tell whether it is still as it was read."""
    if not Activity.objects.using(using).filter(pk=stored.pk, version=stored.version).exists():
        return False
    if flag_changed(stored.pk, using=using):
        logger.warning(
            "track360: %s %s was reported with other content before; the first stays, the record is flagged "
            "(TRACK360['CORRECTIONS']).",
            stored.eventname,
            stored.eventid,
        )
    return True


def _is_of_somebody_else(stored: Activity, wanted: Activity) -> bool:
    """Tell whether two bodies are of different customers: the record waits for its own, in their lane."""
    owners = [json.loads(each.body).get("customerid") for each in (stored, wanted)]
    return bool(owners[0] != owners[1])


def _deal_with_other_customer(stored: Activity, wanted: Activity, *, using: str) -> None:
    """Keep whose activity it is; only one that is dead, and was never accepted, becomes somebody else's."""
    if _is_refused(stored):
        replace_dead(stored.pk, wanted, using=using)
    else:
        _flag(stored, using)


def _is_renamed(stored: Activity, wanted: Activity) -> bool:
    """Tell whether two bodies differ in the event name, as a product makes it: for Track360 they are two activities."""
    names = [json.loads(each.body).get("eventname") for each in (stored, wanted)]
    return bool(names[0] != names[1])


def says_the_same(stored: Activity, wanted: Activity, *, is_time_given: bool) -> bool:
    """Tell whether an activity was written down before with the same content, as far as anybody can tell."""
    if not stored.body or stored.body == wanted.body:
        # What was pruned can't be compared any more.
        return True
    bodies = [json.loads(text) for text in (stored.body, wanted.body)]
    if not is_time_given:
        for body in bodies:
            body.pop("createtime", None)
    return bool(bodies[0] == bodies[1])


def is_of_one_row(stored: Activity, wanted: Activity) -> bool:
    """Tell whether two records come from the same row of the host; a report without a row may be of any."""
    rows = [(each.source, each.source_pk) for each in (stored, wanted)]
    return not stored.source_pk or not wanted.source_pk or rows[0] == rows[1]


def refuse_taken(stored: Activity | None, wanted: Activity) -> None:
    """Refuse to take another row's record for this row's: it would be reported once for both."""
    if stored is not None and not is_of_one_row(stored, wanted):
        message = (
            f"eventid is taken by {stored.source} {stored.source_pk}: give the declaration an `eventid` that is unique "
            "for the event name."
        )
        raise PayloadError(message, field="eventid", reason="eventid_taken")
