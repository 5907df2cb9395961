"""Declarations: what an app's `track360.py` says of its models, and how their rows become activities."""

from track360_django.declarations.model import ModelActivity
from track360_django.declarations.registry import declarations, declarations_of, mend, register, unregister

__all__ = ["ModelActivity", "declarations", "declarations_of", "mend", "register", "unregister"]
