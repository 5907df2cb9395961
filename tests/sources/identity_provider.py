"""
An OpenID Connect provider on loopback, as small as real packages let it be: authorization code, PKCE, RS256.

Whoever is `person` when a visitor arrives is logged in there and agrees, so the visitor goes back at once: by a redirect,
or, where `response_mode=form_post` asks for it, by a page that submits a form to the host from another site.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import secrets
import threading
import time
from dataclasses import dataclass
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, Self
from urllib.parse import parse_qsl, urlencode, urlsplit

CLIENT_ID: Final = "brand"
CLIENT_SECRET: Final = "a-secret-between-brand-and-provider-of-enough-bytes"
KEY_ID: Final = "key-1"
LIFETIME_SECONDS: Final = 600

FORM_POST: Final = """<!doctype html><title>Signing you in</title>
<body onload="document.forms[0].submit()"><form method="post" action="{action}">{fields}</form></body>"""


@dataclass(frozen=True)
class Person:
    """Somebody with an account at the provider."""

    name: str

    @property
    def claims(self) -> dict[str, Any]:
        """What the provider tells of them."""
        return {
            "sub": f"subject-{self.name}",
            "email": f"{self.name}@people.test",
            "email_verified": True,
            "preferred_username": self.name,
            "given_name": self.name.title(),
            "family_name": "Test",
        }


@dataclass(frozen=True, kw_only=True)
class _Grant:
    person: Person
    query: dict[str, str]


class IdentityProvider:
    """
    A running provider, until the end of a `with` block.

    Attributes:
        url: Where hosts talk to it: discovery, token, userinfo, keys.
        person: Who is logged in there; nobody refuses to share anything.
    """

    def __init__(self, issuer: str = "") -> None:
        """
        Start listening.

        Args:
            issuer: What its tokens name as their issuer, if not its URL.
        """
        self.person: Person | None = None
        self._grants: dict[str, _Grant] = {}
        self._tokens: dict[str, Person] = {}
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.provider = self
        self.port: int = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.issuer = issuer or self.url
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def discovery(self) -> dict[str, Any]:
        """Return the discovery document."""
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "userinfo_endpoint": f"{self.url}/userinfo",
            "jwks_uri": f"{self.url}/jwks",
            "response_types_supported": ["code"],
            "response_modes_supported": ["query", "form_post"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
            "code_challenge_methods_supported": ["S256"],
        }

    def authorize(self, query: dict[str, str]) -> dict[str, str]:
        """Return what the visitor brings back to the host."""
        if self.person is None or query["client_id"] != CLIENT_ID:
            return {"error": "access_denied", "state": query["state"]}
        code = secrets.token_urlsafe(16)
        self._grants[code] = _Grant(person=self.person, query=query)
        answer = {"code": code, "state": query["state"]}
        if "id_token" in query["response_type"]:
            answer["id_token"] = self.tokens_of(self.person, query.get("nonce"))["id_token"]
        return answer

    def redeem(self, form: dict[str, str]) -> dict[str, Any] | None:
        """Return the tokens for a code, once; None for a wrong or used one."""
        grant = self._grants.pop(form.get("code", ""), None)
        if grant is None or grant.query["redirect_uri"] != form.get("redirect_uri"):
            return None
        challenge = grant.query.get("code_challenge")
        if challenge and challenge != _challenge_of(form.get("code_verifier", "")):
            return None
        return self.tokens_of(grant.person, grant.query.get("nonce"))

    def tokens_of(self, person: Person, nonce: str | None = None) -> dict[str, Any]:
        """Return a person's tokens, as an app gets them from the provider's own SDK."""
        import jwt

        access_token = secrets.token_urlsafe(16)
        self._tokens[access_token] = person
        now = int(time.time())
        claims = person.claims | {
            "iss": self.issuer,
            "aud": CLIENT_ID,
            "iat": now,
            "exp": now + LIFETIME_SECONDS,
            "jti": secrets.token_urlsafe(8),
        }
        claims |= {"nonce": nonce} if nonce else {}
        return {
            "access_token": access_token,
            "token_type": "Bearer",
            "expires_in": LIFETIME_SECONDS,
            "id_token": jwt.encode(claims, make_key(), algorithm="RS256", headers={"kid": KEY_ID}),
        }

    def person_of(self, authorization: str) -> Person | None:
        """Return whom an access token belongs to."""
        return self._tokens.get(authorization.removeprefix("Bearer "))


@cache
def make_key() -> Any:
    """Return the key that all providers of this process, and of its forks, sign with."""
    from cryptography.hazmat.primitives.asymmetric import rsa

    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def _keys() -> dict[str, Any]:
    import jwt

    public: dict[str, Any] = jwt.algorithms.RSAAlgorithm.to_jwk(make_key().public_key(), as_dict=True)
    return {"keys": [public | {"kid": KEY_ID, "alg": "RS256", "use": "sig"}]}


def _challenge_of(verifier: str) -> str:
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    provider: IdentityProvider


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer browsers, and hosts that ask for something."""
        provider, parts = self.server.provider, urlsplit(self.path)
        match parts.path:
            case "/.well-known/openid-configuration":
                self._answer_json(provider.discovery())
            case "/jwks":
                self._answer_json(_keys())
            case "/userinfo":
                person = provider.person_of(self.headers.get("Authorization", ""))
                self._answer_json(
                    person.claims if person else {"error": "invalid_token"}, 200 if person else 401
                )
            case "/authorize":
                self._send_back(dict(parse_qsl(parts.query)))
            case _:
                self._answer(404, b"")

    def do_POST(self) -> None:
        """Answer a host that redeems a code."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        tokens = self.server.provider.redeem(dict(parse_qsl(body)))
        self._answer_json(tokens or {"error": "invalid_grant"}, 200 if tokens else 400)

    def _send_back(self, query: dict[str, str]) -> None:
        answer, back = self.server.provider.authorize(query), query["redirect_uri"]
        if query.get("response_mode") == "form_post":
            fields = "".join(
                f'<input type="hidden" name="{name}" value="{html.escape(value)}">'
                for name, value in answer.items()
            )
            page = FORM_POST.format(action=html.escape(back), fields=fields)
            self._answer(200, page.encode(), {"Content-Type": "text/html; charset=utf-8"})
        else:
            self._answer(302, b"", {"Location": f"{back}?{urlencode(answer)}"})

    def _answer_json(self, value: object, status: int = 200) -> None:
        self._answer(status, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""
