"""
The signals of this package: one that a host may send, and those that it may receive.

A receiver that raises never stops a delivery: all our signals are sent with `send_robust`.
"""

from __future__ import annotations

from django.dispatch import Signal

# Sent by the host, for a signup that no known auth package announces.
# Arguments: user; request (optional, default: the request being served); brand (optional, default: the request's brand).
customer_signed_up = Signal()

# Sent by this package, after the commit that settled the record.
# Arguments: brand (str), customer_id (str), version (int).
customer_delivered = Signal()
# Arguments: brand (str), eventname (str), eventid (str).
activity_delivered = Signal()
# A record needs a person. Arguments: brand (str), record ("customer" or "activity"), pk (int or None), reason (str).
record_dead = Signal()
# An endpoint accepts nothing, is paused, and is probed from now on.
# Arguments: brand (str), endpoint ("customers" or "activities"), reason (str), error (str).
endpoint_paused = Signal()
# A tracking parameter of a landing can't be returned exactly, or a signup has no attribution.
# Arguments: request (or None), parameter (str, empty at a signup), reason (str); at a signup: customer (the row).
# The value itself is never passed on.
attribution_dropped = Signal()
