"""
Environments of their own for packages that can't share the project's: made on demand, in its git-ignored folder.

By the means of `bootstrap.py`; later runs cost the reading of one file.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import bootstrap

# What each one is asked to install, one step after the other.
REQUIREMENTS: Final[dict[str, Sequence[Sequence[str]]]] = {
    # django-oscar brings many packages, and strawberry-django-auth allows no Django above 6.0.
    # django-graphql-auth asks for a django-graphql-jwt that no supported Django can import, so it comes without what it
    # asks for.
    "apart": (
        (
            "--editable",
            str(bootstrap.PROJECT),
            "uvicorn>=0.35",
            "django-oscar>=4.2",
            "strawberry-django-auth>=0.379",
            "django-filter>=25",
            "django-graphql-jwt>=0.4",
            "graphene-django>=3.2",
        ),
        ("--no-deps", "django-graphql-auth>=0.3.16"),
    )
}


class MissingEnvironmentError(Exception):
    """An environment can't be made here; says why."""


def python_for(environment: str) -> Path:
    """
    Return the Python that a host runs in: this one, or that of an environment, which is made if need be.

    Raises:
        MissingEnvironmentError: It can't be made: the registry does not answer, or has no such version.
    """
    if not environment:
        return Path(sys.executable)
    venv = folder_of(environment)
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            # Where another process is making it, this waits.
            bootstrap.make_named(venv, *REQUIREMENTS[environment], stamp=stamp_of(venv, environment))
    except SystemExit as error:
        raise MissingEnvironmentError(said.getvalue()) from error
    return bootstrap.python_of(venv)


def stamp_of(venv: Path, environment: str) -> dict[str, object]:
    """Return what is noted in an environment that is finished as this project asks for it now."""
    asked = json.dumps([REQUIREMENTS[environment], bootstrap.requirements()])
    return {"identity": bootstrap.identity(venv), "requirements": hashlib.sha256(asked.encode()).hexdigest()}


def folder_of(environment: str) -> Path:
    """Return where an environment is or will be: beside the project's own, and in the user's cache like it."""
    venv = bootstrap.PROJECT / f".venv-sources-{environment}"
    if bootstrap.is_ours(venv) and bootstrap.is_writable(venv):
        return venv
    return bootstrap.cache_folder().with_name(f"{bootstrap.cache_folder().name}-sources-{environment}")
