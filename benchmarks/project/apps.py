"""The host's models, three ways to report them, and the tasks of those who don't use this package."""

from django.apps import AppConfig


class ProjectConfig(AppConfig):
    """Connects the naive way; the declared one is in `track360.py`."""

    name = "benchmarks.project"
    label = "benchmarks"

    def ready(self) -> None:
        """Connect the receivers."""
        from benchmarks.project import receivers  # noqa: PLC0415  models are not loaded before

        receivers.connect()
