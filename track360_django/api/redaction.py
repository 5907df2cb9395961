"""Redaction: a foreign text without what no log, table or message may repeat."""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import unescape
from typing import Final
from urllib.parse import unquote

_JSON_ESCAPE: Final = re.compile(r'\\(?:u([0-9a-fA-F]{4})|(["\\/]))')


def redact(text: str, secrets: Iterable[str]) -> str:
    """Return a text as one printable line without the secrets, in whichever escaping it repeats them."""
    text = _plain(text)
    forms = {form for secret in secrets for form in _forms(secret)}
    folded = text.casefold()
    # Few of the thousands of values of a batch are in an answer: only those are worth a pattern.
    longest_first = sorted((form for form in forms if form.casefold() in folded), key=len, reverse=True)
    if not longest_first:
        return text
    # A short value ("Al") is replaced where it stands alone: everywhere, it would blacken the whole text.
    pattern = "|".join(
        re.escape(form) if len(form) > 3 else rf"(?<!\w){re.escape(form)}(?!\w)" for form in longest_first
    )
    return re.sub(pattern, "[removed]", text, flags=re.IGNORECASE)


def _forms(secret: str) -> Iterable[str]:
    verbatim, plain = _tidy(secret), _plain(secret)
    return (form for form in (verbatim, plain, plain.replace(" ", "+")) if form)


def _plain(text: str) -> str:
    """Return a text without the escapes of JSON, HTML and URLs, also where they were applied twice."""
    for _ in range(2):
        text = _JSON_ESCAPE.sub(lambda match: match[2] or chr(int(match[1], 16)), unescape(unquote(text)))
    # JSON escapes a character beyond the basic plane as two halves.
    return _tidy(text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))


def _tidy(text: str) -> str:
    """Return a text as one line of printable characters."""
    return " ".join(
        "".join(character for character in text if character.isprintable() or character.isspace()).split()
    )
