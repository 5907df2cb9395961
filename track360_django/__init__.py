"""Track360 for Django: signups are attributed by themselves, activity is reported once in effect."""

__version__ = "0.1.0"
