"""
An activity that was written down before with other content: corrected, sent again, or flagged for a person.

Nothing new is written here: see `store`.
"""

from __future__ import annotations

import json
import logging

from django.db import transaction

from track360_django import conf
from track360_django.activities import lookup
from track360_django.models import Activity, Status
from track360_django.outbox import dead_letters, wakeup
from track360_django.outbox.activities import (
    correct_activity,
    correct_unsent,
    flag_changed,
    replace_dead,
    replace_quarantined,
)

logger = logging.getLogger(__name__)


# Note [Latest body]
# Until its first attempt a record says what its row says now. Then its bytes are fixed: Track360 may have them, even
# where no answer came, and another body under the same id would be a second truth. So a changed row changes the body
# of a record that nobody can have sent (`correct_unsent`), and flags one that was.


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
            latest = lookup.same_id(wanted, using).select_for_update().get()
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
