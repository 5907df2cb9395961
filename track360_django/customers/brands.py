"""
Find the brand of a user, a customer or an id. It is decided once, from certain facts, and never guessed.

A host that names no brands pays nothing for this: no query, and no call of its functions. A host that names a single
brand is treated as one with several: it may have had other brands, with customers who belong to them alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from django.db.models import Model, QuerySet

from track360_django import attribution, conf
from track360_django.conf import BrandError
from track360_django.db.lookups import is_one_of
from track360_django.models import Customer, Lane
from track360_django.outbox import aliases

K = TypeVar("K")

# How many texts one query looks up.
PAGE: Final = 1000


def are_named() -> bool:
    """Return whether the host names its brands. If not, there is one brand and nothing to decide."""
    return bool(conf.settings.BRANDS)


def only(owner: Any, named: Any = None) -> str | None:
    """Return the default brand if there is nothing to decide, as on most hosts; else None."""
    if named or isinstance(owner, Customer) or are_named():
        return None
    return conf.DEFAULT_BRAND


def is_of(touches: attribution.Touches, brand: str) -> bool:
    """Return whether the touches of a visitor belong to a brand."""
    return len(conf.brands()) == 1 or touches.settings.brand == brand


def of(owner: Any, using: str, *, named: Any = None, request: Any = None) -> str:
    """
    Return the brand of an owner: a user, a row of `Customer`, or a customer id as text.

    The brand that is named. Else the brand that the owner is a customer of. If there are several, or the owner is
    unknown, the brand of the request; without a given request, of the request being served.

    Raises:
        BrandError: The brand is unknown.
    """
    if (brand := only(owner, named)) is not None:
        return brand
    found = of_many({0: owner}, using, named={0: named}, request=request)[0]
    if isinstance(found, BrandError):
        raise found
    return found


def of_many(
    owners: Mapping[K, Any], using: str, *, named: Mapping[K, Any] | None = None, request: Any = None
) -> dict[K, str | BrandError]:
    """Return the brand of each owner, or the error if it is unknown, under the keys of the owners; see `of`."""
    named = {key: name for key, name in (named or {}).items() if name}
    if not are_named():
        only = conf.DEFAULT_BRAND
        return {
            key: _named(named.get(key, only), owner) if key in named or isinstance(owner, Customer) else only
            for key, owner in owners.items()
        }
    asked = {
        key: owner for key, owner in owners.items() if key not in named and not isinstance(owner, Customer)
    }
    known = known_to(asked.values(), using)
    served = _Served(request)
    return {
        key: _decide(known.get(_mark(owner), ()), owner, served)
        if key in asked
        else _named(named.get(key), owner)
        for key, owner in owners.items()
    }


def _named(name: Any, owner: Any) -> str | BrandError:
    """Return the brand of a row of `Customer`, or the brand that was named; both must be the same."""
    own = owner.brand if isinstance(owner, Customer) else None
    if own is not None and name in {None, own}:
        return own if own in conf.brands() else gone(own)
    try:
        brand = conf.named_brand(name)
    except BrandError as error:
        return error
    if own is not None and own != brand:
        message = f"brand is {brand!r}, but the customer belongs to {own!r}. A customer belongs to one brand."
        return BrandError(message, reason="other_brand")
    return brand


# Used instead of a request: no request at all, not even the one being served.
NOBODYS: Final = object()


class _Served:
    """The brand of the request being served, found once, when it is needed."""

    def __init__(self, request: Any) -> None:
        touches = attribution.current()
        self._request = request if request is not None or touches is None else touches.request
        if request is NOBODYS:
            self._request = None
        self._certain: list[str | None] = []

    def certain(self) -> str | None:
        """Return the brand that the request certainly has, or None."""
        if not self._certain:
            self._certain.append(conf.find_brand(self._request))
        return self._certain[0]

    def usual(self) -> str:
        """Return the brand that an unknown user is registered with."""
        return conf.brand_of(self._request)


def _decide(known: tuple[str, ...], owner: Any, served: _Served) -> str | BrandError:
    if known and known[0] not in conf.brands():
        return gone(known[0])
    if len(known) == 1 and is_same_everywhere(owner):
        return known[0]
    if known:
        here = served.certain()
        return here if here in known else _ambiguous(known)
    try:
        return served.usual()
    except BrandError as error:
        return error


def gone(brand: str) -> BrandError:
    """Return the error for a record of a brand that is no longer configured, so that its policies are unknown too."""
    message = (
        f"brand is {brand!r}, which TRACK360['BRANDS'] no longer has. Add it again, or name another brand."
    )
    if brand == conf.DEFAULT_BRAND:
        message += f" Customers reported before BRANDS was set have the brand {brand!r}: give their brand this name there."
    return BrandError(message)


def _ambiguous(known: Iterable[str]) -> BrandError:
    message = (
        f"brand is unclear: several brands have a customer with this id ({' and '.join(known)}), and no request says which "
        "one is meant. Name it with brand=…, or with `brand` in the declaration."
    )
    return BrandError(message)


def is_same_everywhere(owner: Any) -> bool:
    """Return whether an owner is the same person at all brands: a user is; an id is if CUSTOMER_ID is equal at all."""
    if isinstance(owner, Model):
        return True
    first, *others = (conf.for_brand(brand).CUSTOMER_ID for brand in conf.brands())
    return all(other == first for other in others)


@dataclass(frozen=True)
class _Mark:
    """The key for the look-up of an owner: the primary key of a user, or a customer id."""

    column: str
    text: str


def _mark(owner: Any) -> _Mark:
    return _Mark("user_pk", str(owner.pk)) if isinstance(owner, Model) else _Mark("customer_id", str(owner))


def known_to(owners: Iterable[Any], using: str) -> dict[_Mark, tuple[str, ...]]:
    """Return the brands that each owner is a customer of, in the order of the settings, with a few queries."""
    texts: dict[str, set[str]] = defaultdict(set)
    for owner in owners:
        mark = _mark(owner)
        if owner is not None and mark.text and is_storable(mark.text):
            texts[mark.column].add(mark.text)
    found: dict[_Mark, set[str]] = defaultdict(set)
    for column, wanted in texts.items():
        for text, brand in _customers(column, sorted(wanted), using):
            found[_Mark(column, text)].add(brand)
    return {mark: _configured(names) for mark, names in found.items()}


def known_of(owner: Any, using: str) -> tuple[str, ...]:
    """Return the brands that an owner is a customer of, in the order of the settings."""
    return known_to([owner], using).get(_mark(owner), ())


def is_storable(text: str) -> bool:
    """Return whether a text can be in a table: no database stores half a surrogate pair, and Postgres stores no NUL."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text


def _customers(column: str, texts: list[str], using: str) -> Iterator[tuple[str, str]]:
    for alias in dict.fromkeys((using, aliases.home())):
        rows = Customer.objects.using(alias).order_by()
        for start in range(0, len(texts), PAGE):
            page = texts[start : start + PAGE]
            yield from _owners_of(page, rows) if column == "customer_id" else _look_up(rows, column, page)


def _owners_of(ids: list[str], rows: QuerySet[Customer]) -> Iterator[tuple[str, str]]:
    """Yield customer ids with their brands. Ids that no configured brand has are looked up in the removed brands."""
    # The unique index of customers begins with the brand.
    names = {*conf.brands(), conf.DEFAULT_BRAND}
    found = list(_look_up(rows.filter(brand__in=names), "customer_id", ids))
    yield from found
    unknown = set(ids).difference(customer_id for customer_id, _ in found)
    # Each brand that was ever delivered has lanes, and lanes are few.
    lanes = Lane.objects.using(rows.db).exclude(brand__in=names).order_by()
    if unknown and (removed := list(lanes.values_list("brand", flat=True).distinct())):
        yield from _look_up(rows.filter(brand__in=removed), "customer_id", sorted(unknown))


def _look_up(rows: QuerySet[Customer], column: str, texts: list[str]) -> Iterator[tuple[str, str]]:
    yield from rows.filter(is_one_of(column, texts)).values_list(column, "brand")


def _configured(names: Collection[str]) -> tuple[str, ...]:
    """Return the brands that are still configured; if none is, all of them."""
    return tuple(brand for brand in conf.brands() if brand in names) or tuple(sorted(names))


def of_report(user: Any, request: Any, using: str, *, named: Any = None) -> str:
    """
    Return the brand to report a signup for: the one that is named, or the request's; without either, as `of`.

    Raises:
        BrandError: The brand is unknown.
    """
    if named or request is None or isinstance(user, Customer):
        # The request being served is not used either: it may belong to another user.
        return of(user, using, named=named, request=NOBODYS)
    here = conf.find_brand(request)
    if here is not None and _is_of_before(user, using):
        raise gone(conf.DEFAULT_BRAND)
    return here or of(user, using, request=request)


def _is_of_before(user: Any, using: str) -> bool:
    """
    Return whether a user was reported before `BRANDS` was set, and not since.

    Most likely they were reported with a token that is still in use.
    """
    if not are_named() or conf.DEFAULT_BRAND in conf.brands():
        return False
    return known_of(user, using) == (conf.DEFAULT_BRAND,)


def of_update(user: Any, request: Any, using: str, *, named: Any = None) -> tuple[str, ...]:
    """
    Return the brands to report a customer's changed fields for: the request's brand, else all that have the customer.

    Raises:
        BrandError: No brand has the customer, or several brands have this id and it is unclear which one is meant.
    """
    if named or isinstance(user, Customer) or not are_named():
        return (of(user, using, named=named),)
    known = known_of(user, using)
    here = conf.find_brand(request) if request is not None else None
    if here in known:
        return (str(here),)
    if known and known[0] in conf.brands() and is_same_everywhere(user):
        return known
    return (of(user, using, request=request),)
