"""A session store that is down: it reads nothing and writes nothing."""

from __future__ import annotations

from typing import Any, NoReturn

from django.contrib.sessions.backends.base import SessionBase


class SessionStore(SessionBase):
    """`SESSION_ENGINE = "tests.host.sessions"`."""

    def _fail(self) -> NoReturn:
        message = "the session store is down"
        raise ConnectionError(message)

    def exists(self, session_key: str) -> NoReturn:  # noqa: ARG002  Django's signature
        """Fail."""
        self._fail()

    def create(self) -> NoReturn:
        """Fail."""
        self._fail()

    def save(self, must_create: bool = False) -> NoReturn:  # noqa: ARG002, FBT001, FBT002  Django's signature
        """Fail."""
        self._fail()

    def delete(self, session_key: str | None = None) -> NoReturn:  # noqa: ARG002  Django's signature
        """Fail."""
        self._fail()

    def load(self) -> dict[str, Any]:
        """Fail."""
        self._fail()
