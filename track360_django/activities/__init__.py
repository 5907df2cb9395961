"""
Reporting activities: deposits, withdrawals, bets, GGR, NGR, any KPI that was agreed with Track360.

Models are declared in an app's `track360.py` (discovered like `admin.py`); everything else calls `report`.
"""

from track360_django.activities.dead_letters import Requeued, requeue
from track360_django.activities.declarations import (
    DailyActivity,
    ModelActivity,
    daily_declarations,
    declarations,
    register,
    register_daily,
    unregister,
    unregister_daily,
)
from track360_django.activities.reporting import report, report_many

__all__ = [
    "DailyActivity",
    "ModelActivity",
    "Requeued",
    "daily_declarations",
    "declarations",
    "register",
    "register_daily",
    "report",
    "report_many",
    "requeue",
    "unregister",
    "unregister_daily",
]
