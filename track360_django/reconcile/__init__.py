"""
Reconciliation: each declaration is also a query, so what no signal announced is found and reported.

The face is `run`, for a person, and `fill`, for the beat.
"""

from track360_django.reconcile.runner import fill, run

__all__ = ["fill", "run"]
