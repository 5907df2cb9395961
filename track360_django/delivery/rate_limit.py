"""The pace: how many requests per second a brand's workers make together, if the host has set a limit."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from django.db import transaction
from django.db.models import Case, DurationField, ExpressionWrapper, F, Q, Value, When

from track360_django.db.bulk_insert import insert_missing
from track360_django.db.clock import Now
from track360_django.models import Pace

# With fewer requests per second, the wait for a turn could be longer than the lease of a lane.
LEAST_PER_SECOND: Final = 0.1


def take_turn(brand: str, *, requests_per_second: float, at_most_seconds: float, using: str) -> float | None:
    """
    Take the brand's next turn, if it comes soon enough. All workers of the brand share one sequence of turns.

    Returns:
        How many seconds to wait before the request begins; None if no turn was taken.

    Source: none, our choice: the API guide names no limit.
    """
    step = Value(timedelta(seconds=1 / requests_per_second))
    is_free = Q(next_at=None) | Q(next_at__lt=Now())
    following: Any = Case(When(is_free, then=Now() + step), default=F("next_at") + step)
    rows = Pace.objects.using(using).filter(brand=brand)
    soon = rows.filter(is_free | Q(next_at__lte=Now() + Value(timedelta(seconds=at_most_seconds))))
    with transaction.atomic(using=using):
        if not soon.update(next_at=following):
            if rows.exists():
                return None
            insert_missing([Pace(brand=brand)], using=using)
            rows.update(next_at=following)
        wait = ExpressionWrapper(F("next_at") - step - Now(), output_field=DurationField())
        turn: timedelta = rows.annotate(wait=wait).values_list("wait", flat=True).get()
    return max(0.0, turn.total_seconds())
