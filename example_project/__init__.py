"""An ordinary iGaming host: the tutorial's end state, the demo's stage and the tests' project."""

from __future__ import annotations

from example_project.celery import app as celery_app

__all__ = ("celery_app",)
