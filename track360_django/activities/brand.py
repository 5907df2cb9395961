"""
Which brand a draft belongs to: the brand of the record that was written for it before, otherwise the brand of its
customer.

A row of the host has one record at one brand. This does not change with the next request, task or callback that saves
the row, nor when its customer joins another brand: with two records, Track360 would count the row twice.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from django.db.models import Model

from track360_django import conf
from track360_django.activities import event_id
from track360_django.activities.draft import Draft
from track360_django.conf import BrandError
from track360_django.customers import brands
from track360_django.db.lookups import is_one_of
from track360_django.models import Activity


class Place(NamedTuple):
    """
    The brand of a draft, or why its brand is unknown.

    `stale` are dead records that were written for it at other brands while its brand was unknown. They may be deleted.
    """

    brand: str | BrandError
    stale: tuple[int, ...] = ()


class _Record(NamedTuple):
    """The columns of a record that may be the draft's."""

    pk: int
    brand: str
    eventname: str
    eventid: str
    source: str
    source_pk: str
    customer_pk: int | None
    user_pk: str | None
    customer_id: str | None


def place_of(draft: Draft, using: str) -> Place:
    """Return the brand of one draft; see `places_of`."""
    if (brand := brands.only(draft.customer, draft.brand)) is not None:
        return Place(brand)
    return places_of([draft], using)[0]


def places_of(wanted: Sequence[Draft], using: str) -> list[Place]:
    """Return the brands of some drafts, in their order; in a few queries, and none for a host that names no brands."""
    found = brands.of_many(
        {place: draft.customer for place, draft in enumerate(wanted)},
        using,
        named={place: draft.brand for place, draft in enumerate(wanted) if draft.brand},
    )
    if not brands.are_named():
        return [Place(brand) for brand in found.values()]
    known = _records_like(
        [draft for place, draft in enumerate(wanted) if draft.source_pk or _is_open(draft, found[place])],
        using,
    )
    return [_judge(draft, found[place], known) for place, draft in enumerate(wanted)]


def brand_of_dead(draft: Draft, using: str) -> str:
    """Return the brand that a dead record is kept with: as `of`; if nobody can tell, the request's or the first."""
    if not brands.are_named():
        return conf.DEFAULT_BRAND
    own = list(_of_row(draft, _records_like([draft], using)))
    if own:
        return min(own, key=lambda record: (record.customer_pk is None, record.pk)).brand
    brand = brands.of_many({0: draft.customer}, using, named={0: draft.brand})[0]
    return conf.brands()[0] if isinstance(brand, BrandError) else brand


def _is_open(draft: Draft, brand: str | BrandError) -> bool:
    """Return whether a record of an earlier call may show the brand that is otherwise unknown."""
    return isinstance(brand, BrandError) and not draft.brand and bool(draft.eventid)


def _records_like(wanted: Iterable[Draft], using: str) -> dict[str, list[_Record]]:
    """Return the records with the ids of some drafts, whatever their brand, by id."""
    ids = {event_id.shorten(str(draft.eventid)) for draft in wanted if draft.eventid}
    storable = [eventid for eventid in ids if brands.is_storable(eventid)]
    found: dict[str, list[_Record]] = defaultdict(list)
    if storable:
        names = ("pk", "brand", "eventname", "eventid", "source", "source_pk", "customer")
        rows = Activity.objects.using(using).filter(is_one_of("eventid", storable)).order_by("pk")
        for values in rows.values_list(*names, "customer__user_pk", "customer__customer_id"):
            record = _Record(*values)
            found[record.eventid].append(record)
    return found


def _judge(draft: Draft, brand: str | BrandError, known: dict[str, list[_Record]]) -> Place:
    own = list(_of_row(draft, known))
    frozen = [record for record in own if record.customer_pk is not None]
    if frozen:
        return Place(_stays(draft, brand, frozen[0].brand))
    if isinstance(brand, BrandError):
        reported = {record.brand for record in _of_call(draft, known)} if _is_open(draft, brand) else set()
        return Place(reported.pop() if len(reported) == 1 else brand)
    return Place(brand, tuple(record.pk for record in own if record.brand != brand))


def _stays(draft: Draft, brand: str | BrandError, frozen: str) -> str | BrandError:
    """Return the brand that a row was reported at, or an error if the row now names another brand."""
    if frozen not in conf.brands():
        return brands.gone(frozen)
    if not draft.brand or brand == frozen:
        return frozen
    message = (
        f"brand is not {frozen!r}, where this was reported before. Reported at both brands, it would be paid twice. "
        "Take it back there by hand, then report it with activities.report()."
    )
    return BrandError(message, reason="other_brand")


def _of_row(draft: Draft, known: dict[str, list[_Record]]) -> Iterator[_Record]:
    """Yield the records of the draft's own row."""
    if not draft.source_pk or not draft.eventid:
        return
    for record in known.get(event_id.shorten(str(draft.eventid)), ()):
        if (record.eventname, record.source, record.source_pk) == (
            draft.eventname,
            draft.source,
            draft.source_pk,
        ):
            yield record


def _of_call(draft: Draft, known: dict[str, list[_Record]]) -> Iterator[_Record]:
    """Yield the records that were reported before under the draft's id for the same person."""
    owner: Any = draft.customer
    for record in known.get(event_id.shorten(str(draft.eventid)), ()):
        whose = record.user_pk if isinstance(owner, Model) else record.customer_id
        if record.eventname == draft.eventname and whose == str(getattr(owner, "pk", owner)):
            yield record
