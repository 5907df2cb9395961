"""System checks: a wrong setting is an error with an id and a hint, and never stops the host from booting."""
from __future__ import annotations
from django.core.checks import CheckMessage
from typing import Any
def check_settings(**_: Any) -> list[CheckMessage]:
    return []
def check_middleware(**_: Any) -> list[CheckMessage]:
    return []
