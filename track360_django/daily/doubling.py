"""KPIs that are reported per event and in a day's total, too, and so may count twice."""

from __future__ import annotations

from track360_django.activities.declarations import declarations, reversals


def names_per_event() -> frozenset[str]:
    """Return the event names that rows of models are reported under, those of their reversals included."""
    declared = declarations()
    told = {reversals.eventname_of(each) for each in declared if isinstance(each.on_reverse, str)}
    return frozenset(told | {each.eventname for each in declared})
