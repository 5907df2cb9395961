"""
A browser without a screen: it opens pages, submits forms, follows redirects, and keeps cookies as browsers do.

It honours Domain, Path, Secure, expiry and SameSite, with no grace for young cookies ("Lax+POST"). Names lead to ports on
loopback; `https` is spoken as a proxy that ends TLS would hand it on.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from html.parser import HTMLParser
from http.client import HTTPConnection, HTTPMessage
from typing import Any, Final
from urllib.parse import SplitResult, urlencode, urljoin, urlsplit

MAX_REDIRECTS: Final = 12
USER_AGENT: Final = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
FORM: Final = "application/x-www-form-urlencoded"
SAFE: Final = ("GET", "HEAD")


@dataclass(frozen=True, kw_only=True)
class Cookie:
    """A cookie in the jar."""

    name: str
    value: str
    domain: str
    is_host_only: bool
    path: str
    is_secure: bool
    same_site: str
    expires_at: datetime | None

    def belongs_to(self, url: SplitResult, now: datetime) -> bool:
        """Tell whether a URL's host, path and scheme are this cookie's, SameSite aside."""
        host = url.hostname or ""
        is_host = host == self.domain or (not self.is_host_only and host.endswith(f".{self.domain}"))
        path = url.path or "/"
        is_path = path == self.path or path.startswith(self.path.rstrip("/") + "/")
        is_open = url.scheme == "https" or not self.is_secure
        return is_host and is_path and is_open and (self.expires_at is None or self.expires_at > now)


@dataclass(frozen=True, kw_only=True)
class Form:
    """A form of a page."""

    action: str
    method: str
    fields: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class Page:
    """What the browser shows."""

    url: str
    status: int
    headers: HTTPMessage
    text: str
    # The requests that led here: method and URL without the query.
    way: tuple[str, ...] = ()

    @property
    def forms(self) -> list[Form]:
        """The forms of the page."""
        parser = _Forms(self.url)
        parser.feed(self.text)
        return parser.forms

    def json(self) -> Any:
        """Return the body, which is JSON."""
        return json.loads(self.text)


class _Forms(HTMLParser):
    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url
        self.forms: list[Form] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "form":
            action = urljoin(self._url, values.get("action") or self._url)
            self.forms.append(Form(action=action, method=values.get("method", "get").upper(), fields={}))
        elif tag == "input" and self.forms and values.get("name"):
            self.forms[-1].fields[values["name"]] = values.get("value", "")


def site_of(host: str | None) -> str:
    """Return the site that a host belongs to: the last two labels of its name."""
    return ".".join((host or "").split(".")[-2:])


@dataclass
class Browser:
    """One person's browser; `ports` says where the names lead to."""

    ports: Mapping[str, int]
    jar: list[Cookie] = field(default_factory=list)

    def visit(self, url: str, *, from_site: str = "affiliate.test") -> Page:
        """Open a page by a link on another site."""
        return self._navigate("GET", url, b"", {}, from_site)

    def follow(self, page: Page, link: str) -> Page:
        """Open a page by a link on this one."""
        return self._navigate("GET", urljoin(page.url, link), b"", {}, site_of(urlsplit(page.url).hostname))

    def submit(self, page: Page, form: Form | None = None, **fields: str) -> Page:
        """Submit a form of a page, the first one if none is given, with these fields beside its own."""
        chosen = form or page.forms[0]
        parts = urlsplit(page.url)
        headers = {"Origin": f"{parts.scheme}://{parts.netloc}", "Referer": page.url, "Content-Type": FORM}
        body = urlencode(chosen.fields | fields)
        if chosen.method == "GET":
            return self._navigate("GET", f"{chosen.action}?{body}", b"", {}, site_of(parts.hostname))
        return self._navigate("POST", chosen.action, body.encode(), headers, site_of(parts.hostname))

    def fetch(
        self, url: str, data: object = None, *, method: str = "", headers: Mapping[str, str] | None = None
    ) -> Page:
        """Do what a script of a page does: one request within its origin, JSON there and back."""
        parts = urlsplit(url)
        sent = {"Accept": "application/json", "Sec-Fetch-Dest": "empty", "Sec-Fetch-Mode": "cors"}
        body = b"" if data is None else json.dumps(data).encode()
        if body:
            sent |= {"Content-Type": "application/json", "Origin": f"{parts.scheme}://{parts.netloc}"}
        verb = method or ("POST" if body else "GET")
        return self._request(
            verb, url, body, sent | {"Referer": url} | dict(headers or {}), is_same_site=True
        )

    def cookie(self, name: str) -> str | None:
        """Return the value of a cookie by its name alone."""
        now = datetime.now(UTC)
        found = [
            each for each in self.jar if each.name == name and (not each.expires_at or each.expires_at > now)
        ]
        return found[-1].value if found else None

    def forget(self, *names: str) -> None:
        """Drop cookies."""
        self.jar[:] = [each for each in self.jar if each.name not in names]

    def _navigate(self, method: str, url: str, body: bytes, headers: dict[str, str], from_site: str) -> Page:
        way: list[str] = []
        sites = {from_site}
        for _ in range(MAX_REDIRECTS):
            sites.add(site_of(urlsplit(url).hostname))
            fetch_headers = {
                "Sec-Fetch-Dest": "document",
                "Sec-Fetch-Mode": "navigate",
                "Sec-Fetch-Site": "same-site" if len(sites) == 1 else "cross-site",
            }
            page = self._request(method, url, body, fetch_headers | headers, is_same_site=len(sites) == 1)
            way.append(f"{method} {url.partition('?')[0]}")
            if page.status not in {301, 302, 303, 307, 308}:
                return Page(
                    url=page.url, status=page.status, headers=page.headers, text=page.text, way=tuple(way)
                )
            url = urljoin(url, page.headers["Location"])
            if page.status not in {307, 308}:
                method, body, headers = "GET", b"", {}
        message = f"too many redirects: {way}"
        raise AssertionError(message)

    def _request(
        self, method: str, url: str, body: bytes, headers: Mapping[str, str], *, is_same_site: bool
    ) -> Page:
        parts = urlsplit(url)
        host = parts.hostname or ""
        connection = HTTPConnection("127.0.0.1", parts.port or self.ports[host], timeout=60)
        cookies = "; ".join(
            f"{each.name}={each.value}" for each in self._sent(parts, method, is_same_site=is_same_site)
        )
        sent = {
            "Host": parts.netloc,
            "User-Agent": USER_AGENT,
            "X-Forwarded-Proto": parts.scheme,
            **({"Cookie": cookies} if cookies else {}),
            **headers,
        }
        try:
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            connection.request(method, target, body or None, sent)
            answer = connection.getresponse()
            text = answer.read().decode("utf-8", "replace")
        finally:
            connection.close()
        for line in answer.headers.get_all("Set-Cookie", []):
            self._keep(line, parts)
        return Page(url=url, status=answer.status, headers=answer.headers, text=text)

    def _sent(self, url: SplitResult, method: str, *, is_same_site: bool) -> Iterator[Cookie]:
        now = datetime.now(UTC)
        for cookie in self.jar:
            is_lax = cookie.same_site == "lax" and method in SAFE
            if cookie.belongs_to(url, now) and (is_same_site or is_lax or cookie.same_site == "none"):
                yield cookie

    def _keep(self, line: str, url: SplitResult) -> None:
        """Keep or delete what a Set-Cookie says; what a browser would refuse is refused."""
        pair, *rest = line.split(";")
        name, _, value = pair.strip().partition("=")
        words = {key.strip().lower(): text.strip() for key, _, text in (each.partition("=") for each in rest)}
        host = url.hostname or ""
        domain = words.get("domain", "").lstrip(".")
        same_site = words.get("samesite", "lax").lower()
        is_foreign = domain and (not f".{host}".endswith(f".{domain}") or "." not in domain)
        if is_foreign or (same_site == "none" and "secure" not in words):
            return
        if "secure" in words and url.scheme != "https":
            return
        cookie = Cookie(
            name=name,
            value=value,
            domain=domain or host,
            is_host_only=not domain,
            path=words.get("path") or "/",
            is_secure="secure" in words,
            same_site=same_site,
            expires_at=_expiry_of(words),
        )
        same = (cookie.name, cookie.domain, cookie.path)
        self.jar[:] = [each for each in self.jar if (each.name, each.domain, each.path) != same]
        if cookie.expires_at is None or cookie.expires_at > datetime.now(UTC):
            self.jar.append(cookie)


def _expiry_of(words: Mapping[str, str]) -> datetime | None:
    if words.get("max-age"):
        return datetime.now(UTC) + timedelta(seconds=int(words["max-age"]))
    return parsedate_to_datetime(words["expires"]) if words.get("expires") else None
