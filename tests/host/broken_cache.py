"""A cache that is down: it takes nothing and gives nothing."""

from __future__ import annotations

from typing import Any, NoReturn

from django.core.cache.backends.base import BaseCache


class BrokenCache(BaseCache):
    """`CACHES = {"default": {"BACKEND": "tests.host.broken_cache.BrokenCache"}}`."""

    def __init__(self, _: str, params: dict[str, Any]) -> None:
        super().__init__(params)

    def _fail(self, *_: Any, **__: Any) -> NoReturn:
        message = "the cache is down"
        raise ConnectionError(message)

    add = get = set = delete = has_key = touch = _fail
