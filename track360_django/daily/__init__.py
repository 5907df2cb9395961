"""
Day's totals: the totals of a day by its declaration are compared with those that were reported; differences are
written.

A day is compiled repeatedly while it is in the window: each time completely, but only changes are written.
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
