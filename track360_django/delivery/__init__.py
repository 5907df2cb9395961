"""
Delivery: a worker takes a lane, packs what is due, sends it, and settles what each answer means for it.

The face is `drain`, and what it returns.
"""

from track360_django.delivery.sender import Report
from track360_django.delivery.worker import BUDGET_SECONDS, drain

__all__ = ["BUDGET_SECONDS", "Report", "drain"]
