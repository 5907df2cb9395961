"""A session store whose sessions are deleted by somebody else while a request is served."""

from __future__ import annotations

from typing import Any, NoReturn

from django.contrib.sessions.backends.base import SessionBase, UpdateError


class SessionStore(SessionBase):
    """`SESSION_ENGINE = "tests.host.vanishing_sessions"`."""

    def exists(self, session_key: str) -> bool:  # noqa: ARG002  Django's signature
        """Find nothing."""
        return False

    def create(self) -> NoReturn:
        """Find it deleted."""
        raise UpdateError

    def save(self, must_create: bool = False) -> NoReturn:  # noqa: ARG002, FBT001, FBT002  Django's signature
        """Find it deleted."""
        raise UpdateError

    def delete(self, session_key: str | None = None) -> None:
        """Do nothing: it is gone."""

    def load(self) -> dict[str, Any]:
        """Return what was there a moment ago."""
        return {"known": True}
