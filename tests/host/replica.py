"""A router as large hosts have it: what is read comes from a replica, which lags behind."""

from __future__ import annotations

from typing import Any

ALIAS = "replica"


class ReadFromReplica:
    """`DATABASE_ROUTERS = ["tests.host.replica.ReadFromReplica"]`; sessions are read where they were written."""

    def db_for_read(self, model: type[Any], **_: Any) -> str | None:
        """Read from the replica."""
        return None if model._meta.app_label == "sessions" else ALIAS

    def db_for_write(self, *_: Any, **__: Any) -> str:
        """Write where it counts."""
        return "default"

    def allow_relation(self, *_: Any, **__: Any) -> bool:
        """Both hold the same rows."""
        return True
