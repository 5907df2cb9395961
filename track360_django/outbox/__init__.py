"""
The only writer of delivery state: records are added, outcomes settled under the lane's fence.

Nothing here sends anything.
"""

from track360_django.outbox.activities import (
    add_activities,
    add_activity,
    add_beside_customer,
    correct_activity,
    correct_unsent,
    drop_quarantined,
    explain_quarantined,
    flag_changed,
    note_own,
    replace_dead,
    replace_quarantined,
    unflag,
)
from track360_django.outbox.customers import (
    SAFETY_NET,
    add_customer,
    add_customers,
    change_customer,
    change_fields,
    claim_placeholder,
    drop_customer,
    name_source,
    park_customer,
    read_customer,
    release_customer,
)
from track360_django.outbox.redriving import UNCERTAIN, replay, requeue
from track360_django.outbox.settling import (
    Outcome,
    settle,
    settle_accepted,
)

__all__ = [
    "SAFETY_NET",
    "UNCERTAIN",
    "Outcome",
    "add_activities",
    "add_activity",
    "add_beside_customer",
    "add_customer",
    "add_customers",
    "change_customer",
    "change_fields",
    "claim_placeholder",
    "correct_activity",
    "correct_unsent",
    "drop_customer",
    "drop_quarantined",
    "explain_quarantined",
    "flag_changed",
    "name_source",
    "note_own",
    "park_customer",
    "read_customer",
    "release_customer",
    "replace_dead",
    "replace_quarantined",
    "replay",
    "requeue",
    "settle",
    "settle_accepted",
    "unflag",
]
