"""
The HTTP client: posts arrays of records, bounds what it costs, and returns the answer. No Django.

What an answer means is in `responses`.

An attempt never raises: whatever happens is returned as an `Answer`. A traceback with local variables would carry the
token and personal data into the host's error tracker.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable, Mapping
from http.client import HTTPException
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Final

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError

from track360_django import __version__
from track360_django.api import payloads, redaction, responses
from track360_django.api.base_url import find_problem
from track360_django.api.responses import Answer, Verdict
from track360_django.api.transport import Attempt, WatchedAdapter

if TYPE_CHECKING:
    from urllib3.response import BaseHTTPResponse

MAX_ANSWER_BYTES: Final = 65_536
MAX_EXCERPT_CHARACTERS: Final = 200


class Client:
    """
    Posts records of one brand to Track360. Each thread of each process keeps one connection alive.

    Args:
        base_url: Scheme and host, as assigned to the brand.
        token: The brand token. It is sent in one header of the requests to that host, and appears nowhere else.
        connect_timeout_seconds: The longest time to connect to one address of the host.
        read_timeout_seconds: The longest time between two pieces of the answer.
        total_timeout_seconds: The longest time from the call to the last byte; a watchdog enforces it.
        proxies: As in requests. Proxies of the environment are never used.
        ca_bundle: Path of a bundle of certificates that replaces certifi's.
        allow_http: Allows plain http to hosts other than this machine.
        response_check: Called with status and text of a good answer. If it returns False, the records are refused.

    Source: API guide, "Authentication" and "General API Conventions"; the limits are our choice.
    """

    def __init__(  # noqa: PLR0913  one keyword argument for each setting
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
        response_check: responses.Check | None = None,
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
        Post the JSON texts of some records as one array.

        Returns:
            What the answer means for all records together. Never raises, whatever the network or the API does.

        Source: API guide, "General API Conventions"; what each status means is our choice, see `docs/explanation`.
        """
        if self._problem:
            return Answer(verdict=Verdict.PAUSE, reason="misconfigured", error=self._problem)
        bodies = tuple(bodies)
        with Attempt(self._total_timeout_seconds) as attempt:
            try:
                answer = self._exchange(path, payloads.to_array(bodies), bodies)
            except (requests.RequestException, HTTPError, HTTPException, OSError, ValueError) as error:
                # Only the kind of error is kept: its text and its traceback may hold the token.
                answer = responses.without_response(
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
        """Return this thread's session. A session from before a fork belongs to the parent process and is not used."""
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
        content_type = response.headers.get("Content-Type", "")
        verdict, reason = responses.judge(
            status, content_type, content, is_whole=is_whole, check=self._response_check
        )
        if verdict is Verdict.ACCEPTED:
            return Answer(verdict=verdict, status=status)
        return Answer(
            verdict=verdict,
            reason=reason,
            status=status,
            error=f"{responses.explain(reason, status)} {self._excerpt(content, bodies)}".strip(),
            retry_after=responses.parse_retry_after(
                response.headers.get("Retry-After"),
                responses.sent_at(response.headers.get("Date"), time.time()),
            ),
        )

    def _excerpt(self, content: bytes, bodies: tuple[str, ...]) -> str:
        secrets = {self._token}.union(*(payloads.private_values(body) for body in bodies))
        text = redaction.redact(content.decode(errors="replace"), secrets)
        return f"Answer: {text[:MAX_EXCERPT_CHARACTERS]}" if text else ""


class _Session(requests.Session):
    """A session that treats no answer as a redirect. To prepare a redirect, requests would read the whole body."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Return None: there is no redirect to follow."""


def _read(raw: BaseHTTPResponse) -> tuple[bytes, bool]:
    """
    Return at most 64 KiB of a body, not decoded, and whether that is all of it. The rest of a longer body is not read.

    A body that ends early raises.
    """
    content = b""
    # Read until the end: only the read that reaches the end notices that something is missing.
    while piece := raw.read(MAX_ANSWER_BYTES + 1 - len(content), decode_content=False):
        content += piece
        if len(content) > MAX_ANSWER_BYTES:
            return content[:MAX_ANSWER_BYTES], False
    return content, True
