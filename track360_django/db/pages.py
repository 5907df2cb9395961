"""Rows in pages, in the order of their primary keys: a page is in memory at a time, however many rows there are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from operator import attrgetter
from typing import Any, Final

from django.db.models import QuerySet

_PK: Final = attrgetter("pk")


def by_key(rows: QuerySet[Any], size: int, *, key_of: Callable[[Any], Any] = _PK) -> Iterator[list[Any]]:
    """
    Yield rows in pages of a size, by primary key; a page that is not full is the last one.

    Each page is one query. A server-side cursor is not used, because it may not work with a connection pool.

    Args:
        rows: The rows, or `values_list` of them; their order is ignored.
        size: How many rows a page has at most.
        key_of: Returns the primary key of a row.
    """
    ordered = rows.order_by("pk")
    page = list(ordered[:size])
    while page:
        last = key_of(page[-1])
        is_full = len(page) == size
        yield page
        page = list(ordered.filter(pk__gt=last)[:size]) if is_full else []
