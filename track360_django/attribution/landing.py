"""
Capture: a URL, a header or a form becomes a landing.

Everything a stranger can send goes through total functions here: a clean value or a reason, never an exception.
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

# When the value of a header or a form was seen: seconds since 1970.
TIME_FIELD: Final = "t360_at"

_SECONDS: Final = re.compile(r"[0-9]{1,11}")
_FOREIGN_PAIR: Final = re.compile(rb"&|^[A-Za-z][\w.-]*=[^=]")
_BROKEN_PERCENT: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})")
# Cubot makes phones.
_CRAWLER: Final = re.compile(
    r"(?<!cu)bot\b|(?<!cu)bot/|crawl|spider|slurp|facebookexternalhit|embedly|preview|pingdom|monitor|lighthouse|headlesschrome",
    re.IGNORECASE,
)


def has_parameter(query_string: str, names: tuple[str, ...]) -> bool:
    """Tell, without parsing, whether a raw query string can hold one of these parameters."""
    # No generator, which doubles the cost: this runs on every request.
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
    return re.compile(rf"(?:^|&)({forms})=([^&]*)".encode())


def is_document(meta: Mapping[str, Any], method: str | None) -> bool:
    """
    Tell whether a request is a person's browser opening a page.

    Not one: other methods than GET and HEAD, images, frames and fetches (`Sec-Fetch-Dest`; where a browser doesn't send
    it, an `Accept` that asks for an image), prefetches, crawlers.
    """
    if method not in ("GET", "HEAD") or meta.get("HTTP_SEC_FETCH_DEST", "document") != "document":
        return False
    purpose = f"{meta.get('HTTP_SEC_PURPOSE', '')}{meta.get('HTTP_PURPOSE', '')}{meta.get('HTTP_X_MOZ', '')}"
    if "prefetch" in purpose.lower() or meta.get("HTTP_ACCEPT", "").startswith("image/"):
        return False
    return not _CRAWLER.search(meta.get("HTTP_USER_AGENT", ""))


def landing_in(query_string: bytes, settings: Settings, now: datetime) -> Landing | None:
    """
    Return what the query string of a page that is opened brings: tracking parameters, a carry token, a promo code.

    None when it holds none of them.
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
    Return what the fields of a header, a form or a script bring, None when they bring nothing.

    Known are the tracking parameters with the time at which they were seen (`t360_at`, seconds since 1970; now, if
    there is none), a carry token (`t360`) and a promo code. Values are taken as they are.
    """
    names = [name for name in settings.TRACKING_PARAMS if fields.get(name)]
    found = _judged(((name, fields[name]) for name in names), _seen_at(fields.get(TIME_FIELD), now))
    return _joined([*([found] if found else []), *_others(fields, settings, now)])


def landing_in_header(raw: str, settings: Settings, now: datetime) -> Landing | None:
    """
    Return what the header `X-Track360-Tracking` brings.

    It holds form-encoded pairs, with the names of the fields of a form, or a bare value of the first tracking parameter.
    Other pairs are no value: they would be a misspelt name, or somebody else's.
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
    Return what the tracking parameters of a raw query string bring, None when none of them is in it.

    Each parameter is decoded once and kept exactly or refused; of a repeated one, the last valid value counts.
    """
    pairs = ((name, _decode(raw)) for name, raw in _pairs(query_string, tuple(names)))
    return _judged(pairs, now.replace(microsecond=0))


def _judged(pairs: Iterable[tuple[str, str | None]], at: datetime) -> Landing | None:
    params: dict[str, str] = {}
    # A set in the order of the last sight: a URL with a thousand bad values is told of like one with one.
    refusals: dict[tuple[str, str], None] = {}
    for name, value in pairs:
        refusal = "undecodable" if value is None else refuse_tracking(value)
        if value is None or refusal:
            refused = (name, refusal or "undecodable")
            refusals.pop(refused, None)
            refusals[refused] = None
        else:
            params[name] = value
    if not params and not refusals:
        return None
    return Landing(touches=(Touch(params=params, at=at),) if params else (), refusals=tuple(refusals))


def _others(fields: Mapping[str, str], settings: Settings, now: datetime) -> Iterator[Landing]:
    """Return what a carry token and a promo code bring."""
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
        yield unquote_to_bytes(match[1]).decode("ascii", "replace"), match[2]


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
    """Return when a value was seen, as its sender says: never in the future, and now when it says nothing."""
    said = value if isinstance(value, str) and _SECONDS.fullmatch(value) else None
    at = datetime.fromtimestamp(int(said), UTC) if said else now
    return min(at, now).replace(microsecond=0)
