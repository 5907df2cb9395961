"""Importing this makes the key that all providers of this process, and of its forks, sign with: it takes a while."""

from __future__ import annotations

from importlib.util import find_spec

from tests.sources.identity_provider import make_key

if find_spec("cryptography") and find_spec("jwt"):
    make_key()
