"""
Answers: what each HTTP status and each fault means for the records of a request, as a short reason and a sentence.

These are values, not exceptions, because a traceback with local variables would carry the token and personal data
into an error tracker.
"""

from __future__ import annotations

import email.utils
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import requests

ACCEPTED_STATUSES: Final = frozenset({200, 201, 202, 204})
RETRY_STATUSES: Final = frozenset({408, 421, 423, 424, 425, 429})
PAUSE_STATUSES: Final = frozenset(
    {401, 402, 403, 404, 405, 406, 407, 410, 411, 414, 415, 426, 431, 451, 501, 505}
)

_HTML: Final = re.compile(rb"(\xef\xbb\xbf)?\s*<(!doctype\s+html|html|head|body)\b", re.IGNORECASE)
_SECONDS: Final = re.compile(r"[0-9]{1,9}")


class Verdict(StrEnum):
    """What an answer means for the records of the request."""

    ACCEPTED = "accepted"  # Track360 has the records
    RETRY = "retry"  # not now; send the same request later
    PAUSE = "pause"  # Track360 accepts no request until a person, or time, changes something
    REFUSED = "refused"  # something in the request is wrong


@dataclass(frozen=True, kw_only=True)
class Answer:
    """
    The result of one request.

    `status` is the HTTP status or None. `reason` is a short word for tables and logs. `error` says what happened, why,
    and what to do; it contains neither the token nor personal data. `retry_after` is the wait that the API asked for,
    in seconds.
    """

    verdict: Verdict
    reason: str = ""
    status: int | None = None
    error: str = ""
    retry_after: float | None = None


def classify(status: int) -> tuple[Verdict, str]:
    """
    Return what an HTTP status means, and its short reason.

    Source: none, our choice: the API guide names no status; see "What an answer means" in `docs/explanation`.
    """
    reason = f"http_{status}"
    if status in ACCEPTED_STATUSES:
        return Verdict.ACCEPTED, ""
    if status in PAUSE_STATUSES or 300 <= status < 400:
        return Verdict.PAUSE, reason
    if 400 <= status < 500 and status not in RETRY_STATUSES:
        return Verdict.REFUSED, reason
    return Verdict.RETRY, reason


# The host's `RESPONSE_CHECK`: called with status and text of a good answer, False refuses the records.
Check = Callable[[int, str], bool | None]


def judge(
    status: int, content_type: str, content: bytes, *, is_whole: bool, check: Check | None
) -> tuple[Verdict, str]:
    """Return what an answer means, and its short reason; of a good status, the content decides."""
    verdict, reason = classify(status)
    if verdict is not Verdict.ACCEPTED:
        return verdict, reason
    if not is_whole:
        return Verdict.RETRY, "endless_answer"
    if "html" in content_type.lower() or _HTML.match(content):
        return Verdict.RETRY, "html_answer"
    if check is None:
        return Verdict.ACCEPTED, ""
    try:
        is_good = check(status, content.decode(errors="replace"))
    except Exception:  # noqa: BLE001  the host's function may raise anything; its traceback may hold the answer
        return Verdict.PAUSE, "response_check_failed"
    return (Verdict.REFUSED, "response_check") if is_good is False else (Verdict.ACCEPTED, "")


_EXPLANATIONS: Final = {
    "http_401": "Track360 refused the brand token. API guide, Authentication: compare BRAND_TOKEN with Brand Settings.",
    "http_403": "Track360 refused the brand token. API guide, Authentication: compare BRAND_TOKEN with Brand Settings.",
    "http_404": "There is no such endpoint. API guide, Before starting: compare BASE_URL with the one assigned to you.",
    "http_413": "The request is too large for Track360: lower BATCH_BYTES.",
    "http_429": "Track360 asks for fewer requests.",
    "html_answer": "The answer is a web page, not an answer of the API: a proxy, a login page or a wrong BASE_URL.",
    "endless_answer": "The answer is longer than 64 KiB, so it was not read to the end.",
    "response_check": "RESPONSE_CHECK returned False: Track360 did not take the records.",
    "response_check_failed": "RESPONSE_CHECK raised an error, so the meaning of the answer is unknown: correct it.",
}


def explain(reason: str, status: int | None) -> str:
    """Return what happened and what to do, in words."""
    where = f"HTTP {status}: " if status else ""
    if status and 300 <= status < 400:
        return f"{where}Track360 redirects, but the token is never sent to another address: correct BASE_URL."
    default = (
        "Track360 refused the request."
        if status and 400 <= status < 500
        else "Track360 could not take the records now."
    )
    return where + _EXPLANATIONS.get(reason, default)


def without_response(kind: type[Exception], *, is_overdue: bool, is_sent: bool) -> Answer:
    """Return the answer for an error that came instead of a response. A request that was sent can't be the cause."""
    if is_overdue or issubclass(kind, requests.Timeout):
        return Answer(
            verdict=Verdict.RETRY,
            reason="timeout",
            error=f"Track360 did not answer in time ({kind.__name__}).",
        )
    # requests wraps network errors. So a plain OSError before the request means that a file can't be read.
    is_local = issubclass(kind, OSError) and not issubclass(kind, requests.RequestException)
    if (is_local or issubclass(kind, requests.exceptions.SSLError)) and not is_sent:
        hint = "TLS failed: look at the certificate of BASE_URL, at CA_BUNDLE and at this machine's clock."
        return Answer(verdict=Verdict.PAUSE, reason="tls", error=hint)
    if issubclass(kind, ValueError) and not is_sent:
        hint = f"The request can't be built ({kind.__name__}): look at BASE_URL, BRAND_TOKEN and PROXIES."
        return Answer(verdict=Verdict.PAUSE, reason="misconfigured", error=hint)
    if is_sent:
        hint = f"The request was sent, but no complete answer came back ({kind.__name__})."
        return Answer(verdict=Verdict.RETRY, reason="broken_answer", error=hint)
    hint = f"The connection failed ({kind.__name__}): is BASE_URL reachable from this machine?"
    return Answer(verdict=Verdict.RETRY, reason="connection", error=hint)


def sent_at(value: str | None, now: float) -> float:
    """
    Return when an answer was sent, by its own `Date` header; without a valid one, `now`.

    This machine's clock may be an hour ahead.
    """
    try:
        return email.utils.parsedate_to_datetime(value or "").timestamp()
    except (TypeError, ValueError, OverflowError, OSError):
        return now


def parse_retry_after(value: str | None, now: float) -> float | None:
    """Return a `Retry-After` header in seconds from now; None if it is missing, in the past or invalid."""
    if value is None:
        return None
    value = value.strip()
    if _SECONDS.fullmatch(value):
        return float(value)
    try:
        seconds = email.utils.parsedate_to_datetime(value).timestamp() - now
    except (TypeError, ValueError, OverflowError, OSError):
        return None
    return seconds if seconds > 0 else None
