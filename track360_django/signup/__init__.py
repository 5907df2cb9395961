"""
Signups from all sources: known auth packages, the host's own signal, and a safety net for all other signups.

Every source calls the idempotent `customers.report`. An error of ours never costs the host a signup.
"""

from track360_django.signup.activation import is_activation_awaited, release_unnoticed
from track360_django.signup.receivers import announce, connect
from track360_django.signup.safety_net import created, is_signup, release

__all__ = [
    "announce",
    "connect",
    "created",
    "is_activation_awaited",
    "is_signup",
    "release",
    "release_unnoticed",
]
