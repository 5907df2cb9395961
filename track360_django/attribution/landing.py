"""
Capture: a URL, a header or a form becomes a landing.

All input from strangers goes through total functions here: they return a clean value or a reason, and never raise.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote_to_bytes

from track360_django.api.payloads import refuse_tracking
from track360_django.attribution import carry_token, promo_codes
from track360_django.attribution.touch import Landing, Touch
from track360_django.conf import CARRY_PARAM

if TYPE_CHECKING:
    from track360_django.conf import Settings

# The time at which the value of a header or a form was seen, in seconds since 1970.
TIME_FIELD: Final = "t360_at"
# The reason for a link in which the parameter is visible, but its value can't be read exactly.
DAMAGED: Final = "damaged_link"

_SECONDS: Final = re.compile(r"[0-9]{1,11}")
# What mail tools, link builders and redirects put between pairs: `&`, `&amp;`, a second `?`, `;`, and the `#` that no
# browser sends.
_BETWEEN: Final = r"(?:^|[&?;#])(?:\+|%20)*"
# A foreign pair inside a value: `2001_1000_a?utm_source=mail`.
_SWALLOWED: Final = re.compile(r"[?&;#][^?&;#=]+=")
# A link may be packed into a parameter of another one, so many times: `next=%2F%3Ftracking_data%3Da`.
_MAX_NESTED: Final = 3
_FOREIGN_PAIR: Final = re.compile(rb"&|^[A-Za-z][\w.-]*=[^=]")
_BROKEN_PERCENT: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})")
# "Cubot" is a brand of phones, not a bot.
_CRAWLER: Final = re.compile(
    r"(?<!cu)bot\b|(?<!cu)bot/|crawl|spider|slurp|facebookexternalhit|embedly|preview|pingdom|monitor|lighthouse|headlesschrome",
    re.IGNORECASE,
)


def has_parameter(query_string: str, names: tuple[str, ...]) -> bool:
    """Return, without parsing, whether a raw query string may contain one of these parameters."""
    # Not a generator: this runs on every request, and a generator would double its cost.
    for name in names:
        if name in query_string:
            return True
    if "%5" not in query_string:
        return False
    # Some link builders escape the underscore.
    unescaped = query_string.replace("%5F", "_").replace("%5f", "_")
    return any(name in unescaped for name in names)


@lru_cache(maxsize=64)
def _pattern(names: tuple[str, ...]) -> re.Pattern[bytes]:
    forms = "|".join(re.escape(name).replace("_", "(?:_|%5[Ff])") for name in names)
    return re.compile(rf"{_BETWEEN}({forms})(?:=(?=([^&#]*))|(?=[&?;#]|$))".encode())


@lru_cache(maxsize=64)
def _sight_of(name: str) -> re.Pattern[bytes]:
    """Return the pattern of a parameter that is visible in a link, at any place."""
    return re.compile(rf"(?<![\w.-]){re.escape(name)}\s*=".encode())


def is_document(meta: Mapping[str, Any], method: str | None) -> bool:
    """
    Return whether a person's browser opens a page with this request.

    Excluded are methods other than GET and HEAD; images, frames and fetches (`Sec-Fetch-Dest`, or from a browser that does
    not send it, an `Accept` for an image); prefetches; and crawlers.
    """
    if method not in ("GET", "HEAD"):
        return False
    destination = meta.get("HTTP_SEC_FETCH_DEST", "document")
    if destination != "document" and not (destination == "empty" and _is_passed_on(meta)):
        return False
    purpose = f"{meta.get('HTTP_SEC_PURPOSE', '')}{meta.get('HTTP_PURPOSE', '')}{meta.get('HTTP_X_MOZ', '')}"
    if "prefetch" in purpose.lower() or meta.get("HTTP_ACCEPT", "").startswith("image/"):
        return False
    return not _CRAWLER.search(meta.get("HTTP_USER_AGENT", ""))


def _is_passed_on(meta: Mapping[str, Any]) -> bool:
    """
    Return whether a service worker passes on the request that opens a page. The browser then sends no destination.

    The worker's `fetch(event.request)` keeps the mode "navigate". A worker that builds its own request has the mode
    "same-origin" and still asks for HTML. A page can't set the mode in a header; its `fetch` has the mode "cors" by default.
    """
    mode = meta.get("HTTP_SEC_FETCH_MODE", "")
    return mode == "navigate" or (mode == "same-origin" and "text/html" in meta.get("HTTP_ACCEPT", ""))


def landing_in(query_string: bytes, settings: Settings, now: datetime) -> Landing | None:
    """
    Return the landing in the query string of a page: tracking parameters, a carry token, a promo code.

    Return None if it contains none of them.
    """
    found = capture(query_string, settings.TRACKING_PARAMS, now)
    others = {
        name: value
        for name, raw in _pairs(query_string, (CARRY_PARAM, *promo_codes.names(settings)))
        if (value := _decode(raw)) is not None
    }
    return _joined([*_others(others, settings, now), *([found] if found else [])])


def landing_of(fields: Mapping[str, str], settings: Settings, now: datetime) -> Landing | None:
    """
    Return the landing in the fields of a header, a form or a script, None if there is none.

    The known fields are the tracking parameters with the time at which they were seen (`t360_at`, seconds since 1970;
    default: now), a carry token (`t360`) and a promo code. Values are used unchanged.
    """
    names = [name for name in settings.TRACKING_PARAMS if fields.get(name)]
    found = _judged(((name, fields[name]) for name in names), _seen_at(fields.get(TIME_FIELD), now))
    return _joined([*([found] if found else []), *_others(fields, settings, now)])


def landing_in_header(raw: str, settings: Settings, now: datetime) -> Landing | None:
    """
    Return the landing in the header `X-Track360-Tracking`.

    It contains form-encoded pairs with the field names of a form, or a bare value of the first tracking parameter.
    Pairs with other names are not taken as a bare value: the name is misspelt, or the pair belongs to other code.
    """
    names = (*settings.TRACKING_PARAMS, CARRY_PARAM, TIME_FIELD, *promo_codes.names(settings))
    content = raw.encode("latin-1", "replace")
    pairs = [(name, _decode(value)) for name, value in _pairs(content, names)]
    if not pairs and settings.TRACKING_PARAMS:
        name = settings.TRACKING_PARAMS[0]
        if _FOREIGN_PAIR.search(content):
            return Landing(refusals=((name, "unknown_parameter"),))
        return _judged([(name, _text(content))], now.replace(microsecond=0))
    broken = [name for name, value in pairs if value is None]
    fields = {name: value for name, value in pairs if value is not None}
    refused = Landing(refusals=tuple((name, "undecodable") for name in broken))
    found = landing_of(fields, settings, now)
    return _joined([*([refused] if broken else []), *([found] if found else [])])


def capture(query_string: bytes, names: Sequence[str], now: datetime) -> Landing | None:
    """
    Return the landing in the tracking parameters of a raw query string, None if it contains none of them.

    Each parameter is decoded once, and kept exactly or refused. If it is repeated, the last valid value counts.
    A link that is packed into another parameter (`next=%2F%3Ftracking_data%3Da`) is unpacked. A parameter that is visible
    in the query string and is not a pair is refused as "damaged_link", so that it is never taken for a missing one.
    """
    pairs = [(name, _decode(raw)) for name, raw in _unpacked_pairs(query_string, tuple(names))]
    found = {name for name, _ in pairs}
    damaged = [(name, DAMAGED) for name in names if name not in found and _is_seen(name, query_string)]
    return _judged(pairs, now.replace(microsecond=0), damaged)


def _unpacked_pairs(query_string: bytes, names: tuple[str, ...]) -> list[tuple[str, bytes]]:
    """Return the pairs of a query string; if it has none, those of a link in one of its parameters."""
    for _ in range(_MAX_NESTED):
        if pairs := list(_pairs(query_string, names)):
            return pairs
        unpacked = unquote_to_bytes(query_string)
        if unpacked == query_string:
            break
        query_string = unpacked
    return []


def _is_seen(name: str, query_string: bytes) -> bool:
    for _ in range(_MAX_NESTED):
        if _sight_of(name).search(query_string):
            return True
        query_string = unquote_to_bytes(query_string)
    return False


def _judged(
    pairs: Iterable[tuple[str, str | None]], at: datetime, damaged: Iterable[tuple[str, str]] = ()
) -> Landing | None:
    params: dict[str, str] = {}
    # An ordered set, by the last occurrence: a URL with a thousand bad values is reported like one with a single one.
    refusals: dict[tuple[str, str], None] = dict.fromkeys(damaged)
    for name, value in pairs:
        refusal = "undecodable" if value is None else _refuse(name, value)
        if value is None or refusal:
            refused = (name, refusal or "undecodable")
            refusals.pop(refused, None)
            refusals[refused] = None
        else:
            params[name] = value
    if not params and not refusals:
        return None
    return Landing(touches=(Touch(params=params, at=at),) if params else (), refusals=tuple(refusals))


def _refuse(name: str, value: str) -> str | None:
    """Return why a value is not kept: it can't be stored exactly, or it contains the pair that followed it."""
    is_damaged = value.startswith(f"{name}=") or _SWALLOWED.search(value)
    return refuse_tracking(value) or (DAMAGED if is_damaged else None)


def _others(fields: Mapping[str, str], settings: Settings, now: datetime) -> Iterator[Landing]:
    """Yield the landings of a carry token and of a promo code."""
    token = fields.get(CARRY_PARAM)
    if token:
        yield carry_token.landing_of(token, settings, now)
    for name in promo_codes.names(settings):
        if code := fields.get(name, "").strip():
            yield promo_codes.landing_of(code, settings, now.replace(microsecond=0))


def _joined(landings: Sequence[Landing]) -> Landing | None:
    if not landings:
        return None
    touches = [touch for landing in landings for touch in landing.touches]
    refusals = [refusal for landing in landings for refusal in landing.refusals]
    return Landing(
        touches=tuple(sorted(touches, key=lambda touch: touch.at)), refusals=tuple(dict.fromkeys(refusals))
    )


def _pairs(query_string: bytes, names: tuple[str, ...]) -> Iterator[tuple[str, bytes]]:
    for match in _pattern(names).finditer(query_string):
        yield unquote_to_bytes(match[1]).decode("ascii", "replace"), match[2] or b""


def _decode(raw: bytes) -> str | None:
    """Decode a form-encoded value strictly, exactly once."""
    if _BROKEN_PERCENT.search(raw):
        return None
    return _text(unquote_to_bytes(raw.replace(b"+", b" ")))


def _text(content: bytes) -> str | None:
    try:
        return content.decode()
    except UnicodeDecodeError:
        return None


def _seen_at(value: object, now: datetime) -> datetime:
    """Return when a value was seen, as its sender says: never in the future; without a valid time, now."""
    said = value if isinstance(value, str) and _SECONDS.fullmatch(value) else None
    at = datetime.fromtimestamp(int(said), UTC) if said else now
    return min(at, now).replace(microsecond=0)
