"""Declarations: what an app's `track360.py` says about its models, and how their rows become activities."""

from track360_django.activities.declarations.daily_activity import (
    DailyActivity,
    daily_declarations,
    register_daily,
    unregister_daily,
)
from track360_django.activities.declarations.model_activity import ModelActivity
from track360_django.activities.declarations.registry import (
    declarations,
    declarations_of,
    mend,
    register,
    unregister,
)

__all__ = [
    "DailyActivity",
    "ModelActivity",
    "daily_declarations",
    "declarations",
    "declarations_of",
    "mend",
    "register",
    "register_daily",
    "unregister",
    "unregister_daily",
]
