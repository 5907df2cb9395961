"""How one speaks HTTP with the site: a program's client, and a person's browser. Neither knows a page of it."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import requests

# Beyond this, a page counts as broken.
TIMEOUT_SECONDS: Final = 15.0
# What a browser says when a person opens a page; a crawler's landing would not be remembered.
BROWSER_HEADERS: Final = {
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Accept": "text/html,application/xhtml+xml",
    "Sec-Fetch-Dest": "document",
    "Sec-Fetch-Mode": "navigate",
}
CSRF_FIELD: Final = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """One request and its answer; `location` is where the answer redirects to, "" when it does not."""

    request: str
    status: int
    seconds: float
    location: str
    text: str


class Client:
    """Sends requests to one site and keeps its cookies; follows no redirect."""

    def __init__(self, site: str) -> None:
        self._site = site
        self._session = requests.Session()
        # Proxies and .netrc of the environment are not meant for loopback.
        self._session.trust_env = False

    def post(self, path: str, headers: Mapping[str, str]) -> Exchange:
        """Send nothing but headers."""
        return self._send(self._prepare("POST", path, headers=headers))

    def _prepare(
        self,
        method: str,
        path: str,
        *,
        fields: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> requests.PreparedRequest:
        request = requests.Request(method, self._site + path, data=fields, headers=headers)
        return self._session.prepare_request(request)

    def _send(self, request: requests.PreparedRequest) -> Exchange:
        begun = time.perf_counter()
        answer = self._session.send(request, allow_redirects=False, timeout=TIMEOUT_SECONDS)
        seconds = time.perf_counter() - begun
        # runserver writes head and body apart: on a connection that is kept open, Nagle's algorithm and the delayed
        # acknowledgement add 40 ms to every page. A session that was closed opens again.
        self._session.close()
        return Exchange(
            request=f"{request.method} {request.path_url}",
            status=answer.status_code,
            seconds=seconds,
            location=answer.headers.get("Location", ""),
            text=answer.text,
        )


class Browser(Client):
    """One person's browser: it opens pages and sends forms back; it shares nothing with another one."""

    def __init__(self, site: str) -> None:
        super().__init__(site)
        self._session.headers.update(BROWSER_HEADERS)

    def open(self, path: str) -> Exchange:
        """Open a page."""
        return self._send(self._prepare("GET", path))

    def submit(self, path: str, *, to: str = "", **fields: str) -> Exchange:
        """Open the page with a form, and send the form back, or to where it says."""
        return self._send(self._fill_in(path, fields, to))

    def submit_twice(self, path: str, **fields: str) -> tuple[Exchange, Exchange]:
        """Send the very same form twice, as an impatient person's browser does."""
        form = self._fill_in(path, fields)
        return self._send(form), self._send(form)

    def _fill_in(self, path: str, fields: Mapping[str, str], to: str = "") -> requests.PreparedRequest:
        token = CSRF_FIELD.search(self.open(path).text)
        secret = {"csrfmiddlewaretoken": token[1]} if token else {}
        return self._prepare("POST", to or path, fields={**secret, **fields})
