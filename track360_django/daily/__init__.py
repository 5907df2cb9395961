"""
Day's totals: what a declaration adds up for a day is compared with what was reported, and written down where it differs.

A day is compiled again and again while it is in the window: each time all of it, and only what changed is written.
"""

from track360_django.daily.day import DayReport
from track360_django.daily.runner import compile_day, moved, report_day, report_days, report_windows
from track360_django.daily.totals import Total
from track360_django.daily.writer import Show

__all__ = [
    "DayReport",
    "Show",
    "Total",
    "compile_day",
    "moved",
    "report_day",
    "report_days",
    "report_windows",
]
