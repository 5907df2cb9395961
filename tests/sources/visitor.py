"""A browser: it keeps cookies, follows redirects, and sends forms back with everything that was in them."""

from __future__ import annotations

from collections.abc import Mapping
from html.parser import HTMLParser
from typing import Any, Final

import requests

USER_AGENT: Final = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


class Visitor:
    """One browser at one host, or an app: `headers` go with each request, `body` goes along in each JSON body."""

    def __init__(
        self, url: str, *, headers: Mapping[str, str] | None = None, body: Mapping[str, str] | None = None
    ) -> None:
        self.url = url
        self.body = dict(body or {})
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.headers.update({"User-Agent": USER_AGENT, **(headers or {})})

    def get(self, path: str, **params: str) -> str:
        """Open a page, and return it."""
        return self._checked(self.session.get(self._address(path), params=params, timeout=30)).text

    def submit(self, path: str, *, form: str = "", **fields: str) -> requests.Response:
        """Fill the form of a page (the one with that field), send it, and return where that led."""
        page = _Page(self.get(path), form or next(iter(fields), ""))
        address = self._address(page.action or path)
        headers = {"Referer": self._address(path)}
        return self.session.post(address, data={**page.filled, **fields}, headers=headers, timeout=30)

    def post(self, path: str, body: Any, **headers: str) -> requests.Response:
        """Send JSON, as an app does."""
        return self.session.post(self._address(path), json={**body, **self.body}, headers=headers, timeout=30)

    def remembers(self) -> dict[str, str]:
        """Return the parameters of the touch that a signup in this browser would be credited to."""
        remembered: dict[str, str] = self._checked(
            self.session.get(self._address("/remembered/"), timeout=30)
        ).json()
        return remembered

    def land(self, value: str) -> None:
        """Open a landing page with tracking data, then wander over two pages without."""
        self.get("/", tracking_data=value)
        self.get("/games/")
        self.get("/promotions/")

    def _address(self, path: str) -> str:
        return path if path.startswith("http") else f"{self.url}{path}"

    def _checked(self, response: requests.Response) -> requests.Response:
        if not response.ok:
            message = (
                f"{response.request.method} {response.url}: {response.status_code}\n{response.text[-2000:]}"
            )
            raise AssertionError(message)
        return response


def succeed(response: requests.Response) -> requests.Response:
    """
    Return a response that is no error, and no form with errors.

    Raises:
        AssertionError: It is one.
    """
    if not response.ok or 'class="errorlist' in response.text:
        message = f"{response.request.method} {response.url}: {response.status_code}\n{response.text[-3000:]}"
        raise AssertionError(message)
    return response


class _Page(HTMLParser):
    """The first form of a page that has a certain field: where it goes, and what is filled in already."""

    def __init__(self, text: str, field: str) -> None:
        super().__init__()
        self.action = ""
        self.filled: dict[str, str] = {}
        self._field = field
        self._is_over = False
        self._form: tuple[str, dict[str, str], set[str]] | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a form, and its fields."""
        values = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._form = (values.get("action", ""), {}, set())
        elif tag in ("input", "button") and self._form is not None and "name" in values:
            self._form[2].add(values["name"])
            if values.get("type") not in ("checkbox", "radio") or "checked" in values:
                self._form[1][values["name"]] = values.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        """Take the form that just ended, if it is the one."""
        if tag != "form" or self._form is None:
            return
        if not self._is_over and self._field in self._form[2]:
            self.action, self.filled, _ = self._form
            self._is_over = True
        self._form = None
