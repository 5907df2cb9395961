"""
Ids in a file: taken letter by letter, and refused where a spreadsheet or an export has visibly changed them.

Two ids that were rounded to one text would make two people one customer, and pay one affiliate for both.
"""

from __future__ import annotations

import re
from typing import Any, Final

from track360_django.exceptions import PayloadError

# What a damaged id looks like, and the end of a sentence that says so.
_DAMAGE: Final[tuple[tuple[re.Pattern[str], str], ...]] = (
    (re.compile(r"\s.*|.*\s", re.DOTALL), "begins or ends with a blank"),
    (
        # A spreadsheet, pandas and R write a long number so: 1.23457E+15, 1e+05.
        re.compile(r"[+-]?[0-9]+([.,][0-9]*)?[eE][+-]?[0-9]+"),
        "is a number in exponent form, in which different long ids become the same text",
    ),
    (
        # A column of numbers with an empty cell becomes decimals in many programs: 7.0 for 7.
        re.compile(r"[+-]?[0-9]*[.,][0-9]*"),
        "is a number with a decimal point, which spreadsheets and exports add to ids",
    ),
    (
        # A spreadsheet keeps 15 digits of a number.
        re.compile(r"[1-9][0-9]{14}0{2,}"),
        "has only zeros after its first 15 digits, as a spreadsheet writes a long id that it has rounded",
    ),
    # A spreadsheet shows '007 and ="007" as text.
    (re.compile(r"['=].*", re.DOTALL), "begins with a mark that spreadsheets use for text"),
    (
        # As an id, such a word would be one customer for all lines without an id.
        re.compile(
            r"-|#(n/a|name\?|null!|num!|ref!|value!)|<na>|\(null\)|\\n|false|n/?a|nan|nil|none|null|true|undefined",
            re.IGNORECASE,
        ),
        "is a word for a missing value",
    ),
)

_WAY_OUT: Final = (
    "export the column as text, or add --ids-as-written if the ids of this file are right as they stand"
)


def read_id(value: Any, name: str, *, is_as_written: bool = False) -> str:
    """
    Return an id of a file as text; a whole number is one, too.

    Args:
        value: What the file has.
        name: The field's name, for the message.
        is_as_written: Whether a person says that the ids of this file are right, however they look.

    Raises:
        PayloadError: It is missing, it is no text, or it was changed on its way into the file.

    Source: API guide, "Uniqueness": one id per customer; what is refused is our choice, since the guide is silent.
    """
    if value is None or value == "":
        message = f"{name} is missing: each line needs one (API guide, Field definitions)."
        raise PayloadError(message, field=name, reason="missing_field")
    if isinstance(value, bool) or not isinstance(value, str | int):
        message = (
            f"{name} takes text, not a value of type {type(value).__name__}: put it into quotation marks."
        )
        raise PayloadError(message, field=name, reason="invalid_field")
    found = str(value)
    damage = None if is_as_written else find_damage(found)
    if damage:
        message = f"{name} {damage}: {_WAY_OUT} (API guide, Uniqueness)."
        raise PayloadError(message, field=name, reason="doubtful_id")
    return found


def find_damage(text: str) -> str | None:
    """Return what a spreadsheet or an export has done to an id, as the end of a sentence; None if nothing is seen."""
    return next((damage for pattern, damage in _DAMAGE if pattern.fullmatch(text)), None)
