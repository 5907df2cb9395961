"""
Answers: what each HTTP status and each fault means for the records of a request, as a short reason and a sentence.

These are values, not exceptions, because a traceback with local variables would carry the token and personal data
into an error tracker.
"""

from __future__ import annotations

import email.utils
import re
from collections.abc import Callable, Mapping
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


@dataclass(frozen=True, kw_only=True)
class Meaning:
    """What a reason means, and what a person can do; `advice` may be empty."""

    what: str
    advice: str = ""


# What the reasons mean that an answer, or a missing one, can have. "API guide, X" is a section of Track360's guide.
MEANINGS: Final[Mapping[str, Meaning]] = {
    "timeout": Meaning(what="Track360 did not answer in time"),
    "connection": Meaning(
        what="the connection failed", advice="Check that BASE_URL is reachable from the workers"
    ),
    "broken_answer": Meaning(what="the request was sent, but no complete answer came back"),
    "misconfigured": Meaning(
        what="a request can't be built from the settings", advice="Run `manage.py check` and correct TRACK360"
    ),
    "tls": Meaning(
        what="TLS failed",
        advice="Look at the certificate of BASE_URL, at CA_BUNDLE and at the clock of the workers",
    ),
    "http_401": Meaning(
        what="Track360 refused the brand token",
        advice="Compare BRAND_TOKEN with Brand Settings (API guide, Authentication)",
    ),
    "http_403": Meaning(
        what="Track360 refused the brand token",
        advice="Compare BRAND_TOKEN with Brand Settings (API guide, Authentication)",
    ),
    "http_404": Meaning(
        what="there is no such endpoint",
        advice="Compare BASE_URL with the one assigned to the brand (API guide, Before starting)",
    ),
    "http_413": Meaning(what="the request is too large for Track360", advice="Lower BATCH_BYTES"),
    "http_429": Meaning(what="Track360 asks for fewer requests"),
    "html_answer": Meaning(
        what="the answer is a web page, not an answer of the API",
        advice="Look for a proxy, a login page or a wrong BASE_URL (API guide, Before starting)",
    ),
    "endless_answer": Meaning(what="the answer is longer than 64 KiB, so it was not read to the end"),
    "response_check": Meaning(
        what="RESPONSE_CHECK returned False: Track360 did not take it", advice="Look at the answer"
    ),
    "response_check_failed": Meaning(
        what="RESPONSE_CHECK raised an error, so the meaning of the answer is unknown",
        advice="Correct the function",
    ),
}
REDIRECT: Final = Meaning(
    what="Track360 redirects, but the token is never sent to another address",
    advice="Correct BASE_URL (API guide, Before starting)",
)


def explain(reason: str, status: int | None) -> str:
    """Return what happened and what to do, in words."""
    where = f"HTTP {status}: " if status else ""
    if status and 300 <= status < 400:
        return where + _sentences(REDIRECT)
    if meaning := MEANINGS.get(reason):
        return where + _sentences(meaning)
    if status and 400 <= status < 500:
        return f"{where}Track360 refused the request."
    return f"{where}Track360 could not take the records now."


def _sentences(meaning: Meaning, detail: str = "") -> str:
    said = f"{meaning.what[:1].upper()}{meaning.what[1:]}{f' ({detail})' if detail else ''}."
    return f"{said} {meaning.advice}." if meaning.advice else said


def without_response(kind: type[Exception], *, is_overdue: bool, is_sent: bool) -> Answer:
    """Return the answer for an error that came instead of a response. A request that was sent can't be the cause."""
    verdict, reason = _judge_fault(kind, is_overdue=is_overdue, is_sent=is_sent)
    return Answer(verdict=verdict, reason=reason, error=_sentences(MEANINGS[reason], kind.__name__))


def _judge_fault(kind: type[Exception], *, is_overdue: bool, is_sent: bool) -> tuple[Verdict, str]:
    if is_overdue or issubclass(kind, requests.Timeout):
        return Verdict.RETRY, "timeout"
    # requests wraps network errors. So a plain OSError before the request means that a file can't be read.
    is_local = issubclass(kind, OSError) and not issubclass(kind, requests.RequestException)
    if (is_local or issubclass(kind, requests.exceptions.SSLError)) and not is_sent:
        return Verdict.PAUSE, "tls"
    if issubclass(kind, ValueError) and not is_sent:
        return Verdict.PAUSE, "misconfigured"
    return (Verdict.RETRY, "broken_answer") if is_sent else (Verdict.RETRY, "connection")


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
