"""The reason why a request or a record is refused. A problem names places and rules, never the refused value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Code = Literal["auth", "request", "field", "unknown_customer", "conflict", "capacity", "fault"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """
    One reason for a refusal.

    Attributes:
        code: The kind of the reason, for counting.
        error: What is wrong and what would be right, without the refused value.
        guide: The section of the API guide that says so, or why it is the sandbox's own choice.
        index: Position of the record in the array, from 0; None if it concerns the whole request.
        field: Name of the field or header; None if it concerns the whole record.

    Source: none, our choice: the guide does not describe refusals.
    """

    code: Code
    error: str
    guide: str
    index: int | None = None
    field: str | None = None

    def as_json(self) -> dict[str, object]:
        """Return the entry of the answer's `errors` array."""
        return {
            "index": self.index,
            "field": self.field,
            "code": self.code,
            "error": self.error,
            "guide": self.guide,
        }
