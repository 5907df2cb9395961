"""
The HTTP client: posts arrays of records, bounds what it costs, and says what the answer means. No Django.

An attempt never raises: whatever happens is an `Answer`. A traceback with local variables would carry the token
and a name into the host's error tracker.
"""

from __future__ import annotations

import email.utils
import ipaddress
import os
import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from html import unescape
from http.client import HTTPException
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError

from track360_django import __version__, payloads
from track360_django.transport import Attempt, WatchedAdapter

if TYPE_CHECKING:
    from urllib3.response import BaseHTTPResponse

MAX_ANSWER_BYTES: Final = 65_536
MAX_EXCERPT_CHARACTERS: Final = 200

ACCEPTED_STATUSES: Final = frozenset({200, 201, 202, 204})
RETRY_STATUSES: Final = frozenset({408, 421, 423, 424, 425, 429})
PAUSE_STATUSES: Final = frozenset(
    {401, 402, 403, 404, 405, 406, 407, 410, 411, 414, 415, 426, 431, 451, 501, 505}
)

_TOKEN: Final = re.compile(r"[\x21-\x7e]+")
_HTML: Final = re.compile(rb"(\xef\xbb\xbf)?\s*<(!doctype\s+html|html|head|body)\b", re.IGNORECASE)
_JSON_ESCAPE: Final = re.compile(r'\\(?:u([0-9a-fA-F]{4})|(["\\/]))')
_SECONDS: Final = re.compile(r"[0-9]{1,9}")


class Verdict(StrEnum):
    """What an answer means for the records of the request."""

    ACCEPTED = "accepted"  # Track360 has them
    RETRY = "retry"  # not now; the same request later
    PAUSE = "pause"  # nothing will be taken until a person, or time, changes something
    REFUSED = "refused"  # something in the request is wrong


@dataclass(frozen=True, kw_only=True)
class Answer:
    """
    What became of one request.

    `status` is the HTTP status or None; `reason` a short word for tables and logs; `error` says what, why and
    what to do, without token and personal data; `retry_after` is what the API asked for, in seconds.
    """

    verdict: Verdict
    reason: str = ""
    status: int | None = None
    error: str = ""
    retry_after: float | None = None


class Client:
    """
    Posts records of one brand to Track360 over a kept-alive connection per thread and process.

    Args:
        base_url: Scheme and host, as assigned to the brand.
        token: The brand token; it appears in one header of requests to that host, and nowhere else.
        connect_timeout_seconds: To reach one address of the host.
        read_timeout_seconds: Between two pieces of the answer.
        total_timeout_seconds: From the call to the last byte; a watchdog keeps it.
        proxies: As in requests; the environment's are never used.
        ca_bundle: Path of a bundle of certificates instead of certifi's.
        allow_http: Permits plain http to other hosts than this machine.
        response_check: Called with status and text of a good answer; False refuses the records.

    Source: API guide, "Authentication" and "General API Conventions"; the bounds are our choice.
    """

    def __init__(  # noqa: PLR0913  one argument a setting, all named
        self,
        *,
        base_url: str,
        token: str,
        connect_timeout_seconds: float = 3.0,
        read_timeout_seconds: float = 10.0,
        total_timeout_seconds: float = 15.0,
        proxies: Mapping[str, str] | None = None,
        ca_bundle: str = "",
        allow_http: bool = False,
        response_check: Callable[[int, str], bool | None] | None = None,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self._token = token
        self._timeout = (connect_timeout_seconds, read_timeout_seconds)
        self._total_timeout_seconds = total_timeout_seconds
        self._proxies = dict(proxies or {})
        self._verify: str | bool = ca_bundle or True
        self._problem = find_problem(base_url, token, allow_http=allow_http)
        self._response_check = response_check
        self._local = threading.local()

    def __repr__(self) -> str:
        return f"<Client {self.base_url}>"

    def post(self, path: str, bodies: Iterable[str]) -> Answer:
        """
        Post some records' JSON texts as one array.

        Returns:
            What it means for all of them together. Never raises for anything that the network or the API does.

        Source: API guide, "General API Conventions"; what each status means is our choice, `docs/explanation`.
        """
        if self._problem:
            return Answer(verdict=Verdict.PAUSE, reason="misconfigured", error=self._problem)
        bodies = tuple(bodies)
        with Attempt(self._total_timeout_seconds) as attempt:
            try:
                answer = self._exchange(path, payloads.to_array(bodies), bodies)
            except (requests.RequestException, HTTPError, HTTPException, OSError, ValueError) as error:
                # Only the kind of error is kept: its text and its traceback may hold the token.
                answer = _answer_without_response(
                    type(error), is_overdue=attempt.is_overdue, is_sent=attempt.is_sent
                )
        return answer

    def close(self) -> None:
        """Close this thread's connection."""
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is not None:
            session.close()
            self._local.session = None

    def _exchange(self, path: str, data: bytes, bodies: tuple[str, ...]) -> Answer:
        response = self._session().post(
            self.base_url + path,
            data=data,
            headers={payloads.API_KEY_HEADER: self._token},
            timeout=self._timeout,
            allow_redirects=False,
            stream=True,
        )
        try:
            content, is_whole = _read(response.raw)
        finally:
            response.close()
        return self._judge(response, content, bodies, is_whole=is_whole)

    def _session(self) -> requests.Session:
        """Return this thread's session; one that crossed a fork belongs to the parent and is left alone."""
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None or self._local.pid != os.getpid():
            session = self._local.session = self._open_session()
            self._local.pid = os.getpid()
        return session

    def _open_session(self) -> requests.Session:
        session = _Session()
        session.trust_env = False
        session.proxies = dict(self._proxies)
        session.verify = self._verify
        session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        session.headers.clear()
        session.headers.update(
            {
                "Content-Type": "application/json",
                "Accept": "application/json",
                "Accept-Encoding": "identity",
                "User-Agent": f"track360-django/{__version__}",
            }
        )
        adapter: HTTPAdapter = WatchedAdapter(pool_connections=1, pool_maxsize=1, max_retries=0)
        session.mount("https://", adapter)
        session.mount("http://", adapter)
        return session

    def _judge(
        self, response: requests.Response, content: bytes, bodies: tuple[str, ...], *, is_whole: bool
    ) -> Answer:
        status = response.status_code
        verdict, reason = classify(status)
        if verdict is Verdict.ACCEPTED:
            verdict, reason = self._judge_success(response, content, is_whole=is_whole)
        if verdict is Verdict.ACCEPTED:
            return Answer(verdict=verdict, status=status)
        return Answer(
            verdict=verdict,
            reason=reason,
            status=status,
            error=f"{explain(reason, status)} {self._excerpt(content, bodies)}".strip(),
            retry_after=parse_retry_after(response.headers.get("Retry-After"), time.time()),
        )

    def _judge_success(
        self, response: requests.Response, content: bytes, *, is_whole: bool
    ) -> tuple[Verdict, str]:
        if not is_whole:
            return Verdict.RETRY, "endless_answer"
        if "html" in response.headers.get("Content-Type", "").lower() or _HTML.match(content):
            return Verdict.RETRY, "html_answer"
        if self._response_check is None:
            return Verdict.ACCEPTED, ""
        try:
            is_good = self._response_check(response.status_code, content.decode(errors="replace"))
        except Exception:  # noqa: BLE001  the host's function may raise anything; its traceback may hold the answer
            return Verdict.PAUSE, "response_check_failed"
        return (Verdict.REFUSED, "response_check") if is_good is False else (Verdict.ACCEPTED, "")

    def _excerpt(self, content: bytes, bodies: tuple[str, ...]) -> str:
        secrets = {self._token}.union(*(payloads.private_values(body) for body in bodies))
        text = redact(content.decode(errors="replace"), secrets)
        return f"Answer: {text[:MAX_EXCERPT_CHARACTERS]}" if text else ""


class _Session(requests.Session):
    """A session for which no answer is a redirect: to prepare the next request, it would read all of the body."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Lead nowhere."""


def classify(status: int) -> tuple[Verdict, str]:
    """
    Return what an HTTP status means, and its short reason.

    Source: none, our choice: the guide names no status; see "What an answer means" in `docs/explanation`.
    """
    reason = f"http_{status}"
    if status in ACCEPTED_STATUSES:
        return Verdict.ACCEPTED, ""
    if status in PAUSE_STATUSES or 300 <= status < 400:
        return Verdict.PAUSE, reason
    if 400 <= status < 500 and status not in RETRY_STATUSES:
        return Verdict.REFUSED, reason
    return Verdict.RETRY, reason


_EXPLANATIONS: Final = {
    "http_401": "Track360 refused the brand token. API guide, Authentication: compare BRAND_TOKEN with Brand Settings.",
    "http_403": "Track360 refused the brand token. API guide, Authentication: compare BRAND_TOKEN with Brand Settings.",
    "http_404": "There is no such endpoint. API guide, Before starting: compare BASE_URL with the one assigned to you.",
    "http_413": "The request is too large for Track360: lower BATCH_BYTES.",
    "http_429": "Track360 asks for fewer requests.",
    "html_answer": "A web page came instead of the API's answer: a proxy, a login page or a wrong BASE_URL.",
    "endless_answer": "The answer was longer than 64 KiB and was not read to its end.",
    "response_check": "RESPONSE_CHECK says that Track360 did not take the records.",
    "response_check_failed": "RESPONSE_CHECK raised an error, so nobody knows what the answer means: correct it.",
}


def explain(reason: str, status: int | None) -> str:
    """Return what happened and what to do, in words."""
    where = f"HTTP {status}: " if status else ""
    if status and 300 <= status < 400:
        return f"{where}Track360 redirects, and a token is never sent to another address: correct BASE_URL."
    default = (
        "Track360 refused the request."
        if status and 400 <= status < 500
        else "Track360 could not take it now."
    )
    return where + _EXPLANATIONS.get(reason, default)


def _answer_without_response(kind: type[Exception], *, is_overdue: bool, is_sent: bool) -> Answer:
    """Judge an error by its kind; once the request was sent, it can't be the request that is wrong."""
    if is_overdue or issubclass(kind, requests.Timeout):
        return Answer(
            verdict=Verdict.RETRY,
            reason="timeout",
            error=f"Track360 did not answer in time ({kind.__name__}).",
        )
    # requests wraps what the network does; a plain OSError before the request is a file that can't be read.
    is_local = issubclass(kind, OSError) and not issubclass(kind, requests.RequestException)
    if (is_local or issubclass(kind, requests.exceptions.SSLError)) and not is_sent:
        hint = "TLS failed: look at the certificate of BASE_URL, at CA_BUNDLE and at this machine's clock."
        return Answer(verdict=Verdict.PAUSE, reason="tls", error=hint)
    if issubclass(kind, ValueError) and not is_sent:
        hint = f"The request can't be built ({kind.__name__}): look at BASE_URL, BRAND_TOKEN and PROXIES."
        return Answer(verdict=Verdict.PAUSE, reason="misconfigured", error=hint)
    if is_sent:
        hint = f"The request was sent, and no whole answer came back ({kind.__name__})."
        return Answer(verdict=Verdict.RETRY, reason="broken_answer", error=hint)
    hint = f"The connection failed ({kind.__name__}): is BASE_URL reachable from this machine?"
    return Answer(verdict=Verdict.RETRY, reason="connection", error=hint)


def _read(raw: BaseHTTPResponse) -> tuple[bytes, bool]:
    """Read at most 64 KiB of an answer, as it came; a body that ends early raises, a longer one is left unread."""
    content = b""
    # Only the read that finds the end notices that something is missing.
    while piece := raw.read(MAX_ANSWER_BYTES + 1 - len(content), decode_content=False):
        content += piece
        if len(content) > MAX_ANSWER_BYTES:
            return content[:MAX_ANSWER_BYTES], False
    return content, True


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


def parse_retry_after(value: str | None, now: float) -> float | None:
    """Return a `Retry-After` header in seconds from now; None for a missing, past or senseless one."""
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


def find_problem(base_url: str, token: str, *, allow_http: bool) -> str | None:
    """Return why no request can be sent with these settings, None when one can."""
    return _find_url_problem(base_url, allow_http=allow_http) or _find_token_problem(token)


def _find_url_problem(base_url: str, *, allow_http: bool) -> str | None:
    try:
        parts = urlsplit(base_url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return "BASE_URL is no URL."
    if any(character.isspace() or not character.isprintable() for character in base_url):
        return "BASE_URL holds white space or a control character."
    if parts.scheme not in ("https", "http") or not host:
        return (
            "BASE_URL is missing or no URL like https://partners.yourbrand.com (API guide, Before starting)."
        )
    if parts.path.strip("/") or set("?#@") & set(base_url):
        return (
            "BASE_URL takes scheme and host only, like https://partners.yourbrand.com; the paths are added."
        )
    if parts.scheme == "http" and not (allow_http or is_loopback(host)):
        return "BASE_URL is plain http, which would show the brand token to the network: use https."
    return None


def _find_token_problem(token: str) -> str | None:
    if not token:
        return "BRAND_TOKEN is missing (API guide, Authentication)."
    if not _TOKEN.fullmatch(token):
        return "BRAND_TOKEN holds white space or a character that no HTTP header takes (API guide, Authentication)."
    return None


def is_loopback(host: str) -> bool:
    """Tell whether a host is this very machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
