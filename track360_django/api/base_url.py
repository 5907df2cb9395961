"""Checks the base URL and the token, and says in words why they can't be used. No Django."""

from __future__ import annotations

import ipaddress
import re
from typing import Final
from urllib.parse import urlsplit

_TOKEN: Final = re.compile(r"[\x21-\x7e]+")


def find_problem(base_url: str, token: str, *, allow_http: bool) -> str | None:
    """Return why no request can be sent with these settings; None if requests can be sent."""
    return _find_url_problem(base_url, allow_http=allow_http) or _find_token_problem(token)


def _find_url_problem(base_url: str, *, allow_http: bool) -> str | None:
    try:
        parts = urlsplit(base_url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return "BASE_URL is not a URL."
    if any(character.isspace() or not character.isprintable() for character in base_url):
        return "BASE_URL contains white space or a control character."
    if parts.scheme not in ("https", "http") or not host:
        return "BASE_URL is missing or not a URL like https://partners.yourbrand.com (API guide, Before starting)."
    if parts.path.strip("/") or set("?#@") & set(base_url):
        return "BASE_URL is scheme and host only, like https://partners.yourbrand.com: the package adds the paths."
    if parts.scheme == "http" and not (allow_http or is_loopback(host)):
        return "BASE_URL is plain http, which would show the brand token to the network: use https."
    return None


def _find_token_problem(token: str) -> str | None:
    if not token:
        return "BRAND_TOKEN is missing (API guide, Authentication)."
    if not _TOKEN.fullmatch(token):
        return "BRAND_TOKEN contains white space or a character that no HTTP header allows (API guide, Authentication)."
    return None


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
