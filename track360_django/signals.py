"""
Signals of this package: what a host may send, and what it may listen to.

A receiver that raises never stops a delivery: all of ours are sent with `send_robust`.
"""

from __future__ import annotations

from django.dispatch import Signal

# Sent by the host, for a signup that no known auth package announces.
# Arguments: user; request (optional: without it the request being served is used); brand (optional: the request's).
customer_signed_up = Signal()

# Sent by us, after the commit that settled the record.
# Arguments: brand (str), customer_id (str), version (int).
customer_delivered = Signal()
# Arguments: brand (str), eventname (str), eventid (str).
activity_delivered = Signal()
# A record needs a person. Arguments: brand (str), record ("customer" or "activity"), pk (int or None), reason (str).
record_dead = Signal()
# An endpoint takes nothing and is probed from now on.
# Arguments: brand (str), endpoint ("customers" or "activities"), reason (str), error (str).
endpoint_paused = Signal()
# A landing brought a tracking parameter that can't be returned exactly, or a signup is credited to nobody.
# Arguments: request (or None), parameter (str, empty at a signup), reason (str); at a signup: customer (the row).
# The value itself is never passed on.
attribution_dropped = Signal()
