"""Plays the story on a stage that is set, as a process of its own: it has the stage's settings from the start."""

from __future__ import annotations

import argparse
import sys

import django
import requests


def main() -> int:
    """Play, show the verdict, and return the exit code: 0 when nothing is lost, doubled or out of order."""
    parser = argparse.ArgumentParser(prog="python -m example_project.demo", description=__doc__)
    parser.add_argument("--site", required=True)
    parser.add_argument("--sandbox", required=True)
    places = parser.parse_args()
    django.setup()
    # Models can be imported from here on.
    from example_project.demo.console import Console  # noqa: PLC0415
    from example_project.demo.results import show  # noqa: PLC0415
    from example_project.demo.story import Story, StoryError  # noqa: PLC0415

    console = Console()
    try:
        verdict = Story(places.site, places.sandbox, console).play()
    except (StoryError, requests.RequestException) as error:
        console.bad(f"This did not happen as told: {error}.")
        return 1
    show(verdict, console)
    return 0 if verdict.is_clean else 1


if __name__ == "__main__":
    sys.exit(main())
