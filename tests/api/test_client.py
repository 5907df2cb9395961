"""The HTTP client against a server that misbehaves: what each answer means, what it may cost, and what never leaks."""

from __future__ import annotations

import http.client
import json
import logging
import os
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from email.utils import formatdate
from functools import partial
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest

from tests.misbehaving import (
    SLOW,
    TAKEN,
    UNCLEAR,
    MisbehavingServer,
    Script,
    Step,
    answer,
    answer_and_leave,
    endlessly,
)
from tests.pages import ROOT
from track360_django import __version__
from track360_django.api.base_url import find_problem, is_loopback
from track360_django.api.client import MAX_EXCERPT_CHARACTERS, Client
from track360_django.api.redaction import redact
from track360_django.api.responses import Answer, Verdict, classify, explain, parse_retry_after

CUSTOMERS = "/tracking/events/customers"
TOKEN = "b1f4e7a2-secret"
PERSON = {
    "customerId": "7",
    "firstName": 'Zoë "Zo" <Ω>',
    "lastName": "O'Neill & Sons",
    "city": "Al",
    "tracking_data": "2001_1000_abcdefg",
}
BODY = json.dumps(PERSON, ensure_ascii=False)

# DESIGN, "Delivery policy", written out once more: the test must not ask the client what the client thinks.
ACCEPTED = {200, 201, 202, 204}
RETRY = {408, 421, 423, 424, 425, 429, *range(100, 200), *({*range(200, 300)} - ACCEPTED)}
RETRY |= {*range(500, 600)} - {501, 505}
PAUSE = {401, 402, 403, 404, 405, 406, 407, 410, 411, 414, 415, 426, 431, 451, 501, 505, *range(300, 400)}
# What has no place in the table is the request's fault: one bad record, which halving will find.
VERDICTS = {
    status: Verdict.ACCEPTED
    if status in ACCEPTED
    else Verdict.RETRY
    if status in RETRY
    else Verdict.PAUSE
    if status in PAUSE
    else Verdict.REFUSED
    for status in range(100, 600)
}

MakeClient = Callable[..., Client]


def close_with(status: int) -> Script:
    """Answer with a status and announce the end of the connection."""
    return (Step.READ, answer(status, headers={"Connection": "close"}))


@pytest.fixture
def server() -> Iterator[MisbehavingServer]:
    """Return a server that answers rightly until it is told otherwise."""
    with MisbehavingServer() as running:
        yield running


@pytest.fixture
def make_client(server: MisbehavingServer) -> Iterator[MakeClient]:
    """Return a function that makes a client of the server; arguments override the usual ones."""
    made: list[Client] = []

    def make(**arguments: Any) -> Client:
        client = Client(**{"base_url": server.url, "token": TOKEN, **arguments})
        made.append(client)
        return client

    yield make
    for client in made:
        client.close()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ssl.SSLContext]:
    """Return a self-signed certificate for 127.0.0.1, and a server's context with it."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("needs the program openssl, to make a certificate")
    folder = tmp_path_factory.mktemp("tls")
    words = (
        "req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1"
    )
    subprocess.run(
        [openssl, *words.split(), "-keyout", "key.pem", "-out", "certificate.pem"],
        cwd=folder,
        capture_output=True,
        check=True,
        timeout=60,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
    return folder / "certificate.pem", context


# What is sent.


def test_records_are_sent_as_the_guide_shows(server: MisbehavingServer, make_client: MakeClient) -> None:
    """Records go as one JSON array, with the two headers of the guide and their spelling."""
    make_client().post(CUSTOMERS, [BODY, '{"customerId":"8"}'])

    (request,) = server.requests
    assert request.line == f"POST {CUSTOMERS} HTTP/1.1"
    assert json.loads(request.body) == [PERSON, {"customerId": "8"}]
    assert request.header["x-api-key"] == TOKEN
    assert request.header["Content-Type"] == "application/json"
    assert request.header["User-Agent"] == f"track360-django/{__version__}"
    assert set(request.header) == {
        "Host",
        "Content-Type",
        "Content-Length",
        "Accept",
        "Accept-Encoding",
        "User-Agent",
        "x-api-key",
    }


def test_slash_behind_the_base_url_changes_nothing(
    server: MisbehavingServer, make_client: MakeClient
) -> None:
    """A base URL with a slash at its end leads to the same path."""
    make_client(base_url=f"{server.url}/").post(CUSTOMERS, [BODY])

    assert server.requests[0].line == f"POST {CUSTOMERS} HTTP/1.1"


# What an answer means.


@pytest.mark.parametrize("hundred", [100, 200, 300, 400, 500])
def test_every_status_has_the_verdict_of_the_policy(
    server: MisbehavingServer, make_client: MakeClient, hundred: int
) -> None:
    """Each status from 100 to 599 means what the delivery policy says, and tells its number."""
    client = make_client()
    answers: dict[int, Answer] = {}

    for status in range(hundred, hundred + 100):
        server.play(partial(close_with, status))
        answers[status] = client.post(CUSTOMERS, [BODY])

    verdicts = {status: each.verdict for status, each in answers.items()}
    assert verdicts == {status: VERDICTS[status] for status in answers}
    # 100 is no answer: another one must follow, and here none does.
    assert all(each.status == status for status, each in answers.items() if status != 100)
    assert all(bool(each.error) is (each.verdict is not Verdict.ACCEPTED) for each in answers.values())


@pytest.mark.parametrize("name", UNCLEAR)
def test_answer_that_is_not_whole_is_tried_again(
    server: MisbehavingServer, make_client: MakeClient, name: str
) -> None:
    """An answer that is cut, malformed, endless or a web page counts as none: the same request goes again."""
    server.play(UNCLEAR[name])

    result = make_client(total_timeout_seconds=10).post(CUSTOMERS, [BODY])

    assert result.verdict is Verdict.RETRY
    assert result.reason in {"connection", "broken_answer", "endless_answer", "html_answer", "http_103"}
    assert result.error
    assert server.connections == 1
    assert server.sent_bytes < 20_000_000


@pytest.mark.parametrize("name", TAKEN)
def test_unusual_answer_that_is_whole_is_accepted(
    server: MisbehavingServer, make_client: MakeClient, name: str
) -> None:
    """A whole answer is accepted, whatever it does to the connection, and the next request gets its own."""
    server.play(TAKEN[name])
    client = make_client()

    results = [client.post(CUSTOMERS, [BODY]) for _ in range(3)]

    assert [each.verdict for each in results] == [Verdict.ACCEPTED] * 3
    assert len(server.requests) == 3


@pytest.mark.parametrize("name", SLOW)
def test_slow_answer_ends_with_the_total_time(
    server: MisbehavingServer, make_client: MakeClient, name: str
) -> None:
    """A server that drips bytes holds a worker no longer than the total time of an attempt."""
    server.play(SLOW[name])
    began = time.monotonic()

    result = make_client(total_timeout_seconds=0.5, read_timeout_seconds=5).post(CUSTOMERS, [BODY])

    assert (result.verdict, result.reason) == (Verdict.RETRY, "timeout")
    assert time.monotonic() - began < 4


def test_silent_server_ends_with_the_read_time(server: MisbehavingServer, make_client: MakeClient) -> None:
    """A server that says nothing is left after the read timeout, before the total time is over."""
    server.play(SLOW["silence"])
    began = time.monotonic()

    result = make_client(read_timeout_seconds=0.2, total_timeout_seconds=15).post(CUSTOMERS, [BODY])

    assert (result.verdict, result.reason) == (Verdict.RETRY, "timeout")
    assert time.monotonic() - began < 5


def test_refused_connection_is_tried_again(make_client: MakeClient) -> None:
    """A host where nobody listens is tried again later."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    result = make_client(base_url=f"http://127.0.0.1:{port}").post(CUSTOMERS, [BODY])

    assert (result.verdict, result.reason, result.status) == (Verdict.RETRY, "connection", None)


def test_unknown_host_is_tried_again(make_client: MakeClient) -> None:
    """A name that leads nowhere is tried again later."""
    client = make_client(base_url="http://partners.invalid", allow_http=True)

    result = client.post(CUSTOMERS, [BODY])

    assert (result.verdict, result.reason) == (Verdict.RETRY, "connection")


@pytest.mark.parametrize(
    ("content_type", "body", "verdict"),
    [
        ("application/json", b'{"page": "<html>"}', Verdict.ACCEPTED),
        ("", b"", Verdict.ACCEPTED),
        ("text/plain", b"OK", Verdict.ACCEPTED),
        ("text/plain", b"<htmlish>", Verdict.ACCEPTED),
        ("application/xhtml+xml", b"{}", Verdict.RETRY),
        ("", b"\r\n <HTML lang=en>", Verdict.RETRY),
        ("application/json", b"<body>", Verdict.RETRY),
        ("application/json", b"\xef\xbb\xbf<!doctype html>", Verdict.RETRY),
    ],
    ids=["json", "nothing", "text", "no-tag", "xhtml", "capitals", "lying", "byte-order-mark"],
)
def test_web_page_with_status_200_is_no_acceptance(
    server: MisbehavingServer,
    make_client: MakeClient,
    content_type: str,
    body: bytes,
    verdict: Verdict,
) -> None:
    """A web page in place of the API's answer is recognised by its type or its beginning."""
    server.play(lambda: (Step.READ, answer(body=body, content_type=content_type)))

    assert make_client().post(CUSTOMERS, [BODY]).verdict is verdict


# Redirects.


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_is_never_followed(server: MisbehavingServer, make_client: MakeClient, status: int) -> None:
    """A redirect pauses the endpoint; its target is never asked, so the key goes nowhere."""
    with MisbehavingServer() as target:
        server.play(lambda: (Step.READ, answer(status, headers={"Location": f"{target.url}{CUSTOMERS}"})))

        result = make_client().post(CUSTOMERS, [BODY])

        assert target.connections == 0
    assert (result.verdict, result.reason) == (Verdict.PAUSE, f"http_{status}")
    assert "BASE_URL" in result.error
    assert len(server.requests) == 1


def test_redirect_with_an_endless_body_is_not_read(
    server: MisbehavingServer, make_client: MakeClient
) -> None:
    """The body of a redirect is bounded like every other."""
    head = b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\n\r\n"
    server.play(lambda: endlessly(head, b" " * 65_536, 0.001))

    result = make_client(total_timeout_seconds=5).post(CUSTOMERS, [BODY])

    assert (result.verdict, result.reason) == (Verdict.PAUSE, "http_302")
    assert server.sent_bytes < 20_000_000


@pytest.mark.parametrize("location", ["http://[broken", "//", "\xff\xfe", "http://\x7f/"])
def test_redirect_to_nonsense_is_a_redirect(
    server: MisbehavingServer, make_client: MakeClient, location: str
) -> None:
    """A redirect whose target makes no sense is answered for by its status."""
    server.play(lambda: (Step.READ, answer(302, headers={"Location": location})))

    assert make_client().post(CUSTOMERS, [BODY]).reason == "http_302"


# Retry-After.

NOW = 1_753_088_760.0


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("120", 120),
        (" 5 ", 5),
        ("0", 0),
        (formatdate(NOW + 90, usegmt=True), 90),
        (formatdate(NOW - 90, usegmt=True), None),
        ("-5", None),
        ("1.5", None),
        ("", None),
        ("soon", None),
        ("٣", None),  # a digit, but not one of HTTP's
        ("31536000", 31_536_000),  # a year: policy clamps it
        ("9" * 400, None),
        ("Mon, 99 Foo 2025 99:99:99 GMT", None),
        ("Fri, 31 Dec 9999 23:59:59 -2359", pytest.approx(2.5e11, rel=0.1)),
    ],
    ids=[
        "missing",
        "seconds",
        "spaces",
        "zero",
        "date",
        "past-date",
        "negative",
        "fraction",
        "empty",
        "garbage",
        "other-digits",
        "a-year",
        "400-digits",
        "impossible-date",
        "last-date",
    ],
)
def test_retry_after_is_read_in_each_form(value: str | None, seconds: float | None) -> None:
    """`Retry-After` is a number of seconds from now, however it is written; nonsense is none."""
    assert parse_retry_after(value, NOW) == seconds


def test_retry_after_of_an_answer_is_returned(server: MisbehavingServer, make_client: MakeClient) -> None:
    """The wait that the API asks for comes with the answer."""
    server.play(lambda: (Step.READ, answer(429, headers={"Retry-After": "42"})))

    assert make_client().post(CUSTOMERS, [BODY]).retry_after == 42


# The environment.


def test_proxies_of_the_environment_are_ignored(
    server: MisbehavingServer, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Proxy variables of the environment change no connection."""
    with MisbehavingServer() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)

        result = make_client().post(CUSTOMERS, [BODY])

        assert proxy.connections == 0
    assert result.verdict is Verdict.ACCEPTED


def test_netrc_is_ignored(
    server: MisbehavingServer, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A `.netrc` for the host adds no credentials."""
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\ndefault login a password b\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(netrc))

    make_client().post(CUSTOMERS, [BODY])

    assert "Authorization" not in server.requests[0].header


def test_configured_proxy_is_used(server: MisbehavingServer, make_client: MakeClient) -> None:
    """The setting's proxy gets the request, with the full URL in its line."""
    client = make_client(
        base_url="http://partners.example.com", proxies={"http": server.url}, allow_http=True
    )

    result = client.post(CUSTOMERS, [BODY])

    assert result.verdict is Verdict.ACCEPTED
    assert server.requests[0].line == f"POST http://partners.example.com{CUSTOMERS} HTTP/1.1"


def test_tunnel_of_a_silent_proxy_ends_with_the_total_time(
    server: MisbehavingServer, make_client: MakeClient
) -> None:
    """A proxy that never opens the tunnel holds a worker no longer than the total time."""
    server.play(SLOW["silence"])
    client = make_client(
        base_url="https://partners.example.com", proxies={"https": server.url}, total_timeout_seconds=0.5
    )
    began = time.monotonic()

    result = client.post(CUSTOMERS, [BODY])

    assert (result.verdict, result.reason) == (Verdict.RETRY, "timeout")
    assert time.monotonic() - began < 4
    assert TOKEN not in str(server.requests)


# TLS.


def test_certificate_of_the_setting_is_trusted(
    certificate: tuple[Path, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The setting's bundle is trusted, and the environment's does not replace it."""
    path, context = certificate
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nonexistent/bundle.pem")
    monkeypatch.setenv("CURL_CA_BUNDLE", "/nonexistent/bundle.pem")

    with MisbehavingServer(tls=context) as server:
        client = Client(base_url=server.url, token=TOKEN, ca_bundle=str(path))
        results = [client.post(CUSTOMERS, [BODY]) for _ in range(2)]
        client.close()

    assert [each.verdict for each in results] == [Verdict.ACCEPTED] * 2
    assert server.connections == 1


def test_self_signed_certificate_pauses_the_endpoint(
    certificate: tuple[Path, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A certificate that nobody vouches for pauses the endpoint, also when the environment would trust it."""
    path, context = certificate
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(path))

    with MisbehavingServer(tls=context) as server:
        client = Client(base_url=server.url, token=TOKEN)
        result = client.post(CUSTOMERS, [BODY])
        client.close()

    assert (result.verdict, result.reason) == (Verdict.PAUSE, "tls")
    assert "certificate" in result.error
    assert server.requests == []


def test_plain_server_at_an_https_url_pauses_the_endpoint(
    server: MisbehavingServer, make_client: MakeClient
) -> None:
    """A server that speaks no TLS at an https URL never sees the key, and the endpoint is paused."""
    server.play(lambda: (b"HTTP/1.1 400 Bad Request\r\n\r\n",))

    result = make_client(base_url=server.url.replace("http:", "https:")).post(CUSTOMERS, [BODY])

    assert (result.verdict, result.reason) == (Verdict.PAUSE, "tls")
    assert server.requests == []


def test_silent_tls_handshake_ends_with_the_total_time(
    server: MisbehavingServer, make_client: MakeClient
) -> None:
    """A server that accepts and never shakes hands holds a worker no longer than the total time."""
    server.play(lambda: (Step.HANG,))
    client = make_client(base_url=server.url.replace("http:", "https:"), total_timeout_seconds=0.5)
    began = time.monotonic()

    result = client.post(CUSTOMERS, [BODY])

    assert (result.verdict, result.reason) == (Verdict.RETRY, "timeout")
    assert time.monotonic() - began < 2.5


def test_missing_certificate_bundle_pauses_the_endpoint(make_client: MakeClient, tmp_path: Path) -> None:
    """A bundle that isn't there is a mistake in the settings or the machine: nothing is sent without it."""
    client = make_client(base_url="https://127.0.0.1:1", ca_bundle=str(tmp_path / "missing.pem"))

    result = client.post(CUSTOMERS, [BODY])

    assert result.verdict is Verdict.PAUSE
    assert "CA_BUNDLE" in result.error


# Connections, processes, threads.


def test_one_connection_serves_many_requests(server: MisbehavingServer, make_client: MakeClient) -> None:
    """Requests that follow each other share one connection."""
    client = make_client()

    for _ in range(5):
        client.post(CUSTOMERS, [BODY])

    assert server.connections == 1
    assert len(server.requests) == 5


def test_connection_closed_while_idle_is_replaced(server: MisbehavingServer, make_client: MakeClient) -> None:
    """A connection that the server closed between two requests costs no request."""
    server.play(answer_and_leave)
    client = make_client()

    results = []
    for _ in range(3):
        results.append(client.post(CUSTOMERS, [BODY]).verdict)
        time.sleep(0.05)

    assert results == [Verdict.ACCEPTED] * 3
    assert len(server.requests) == server.connections == 3


def test_cookies_are_not_kept(server: MisbehavingServer, make_client: MakeClient) -> None:
    """A cookie that an answer sets never comes back."""
    server.play(lambda: (Step.READ, answer(headers={"Set-Cookie": "session=1; Path=/"}), Step.KEEP))
    client = make_client()

    client.post(CUSTOMERS, [BODY])
    client.post(CUSTOMERS, [BODY])

    assert "Cookie" not in server.requests[1].header


def test_closed_client_opens_a_new_connection(server: MisbehavingServer, make_client: MakeClient) -> None:
    """A client can be used after it was closed, and closed without having been used."""
    client = make_client()
    client.close()

    client.post(CUSTOMERS, [BODY])
    client.close()
    client.post(CUSTOMERS, [BODY])

    assert server.connections == 2


def test_threads_have_connections_of_their_own(server: MisbehavingServer, make_client: MakeClient) -> None:
    """Threads that share a client mix up no bodies."""
    client = make_client()
    barrier = threading.Barrier(4)

    def post_ten(number: int) -> list[Verdict]:
        barrier.wait()
        verdicts = [
            client.post(CUSTOMERS, [json.dumps({"customerId": f"{number}-{count}"})]).verdict
            for count in range(10)
        ]
        client.close()
        return verdicts

    with ThreadPoolExecutor(4) as pool:
        verdicts = [verdict for each in pool.map(post_ten, range(4)) for verdict in each]

    senders: dict[int, set[str]] = {}
    for request in server.requests:
        (record,) = json.loads(request.body)
        senders.setdefault(request.connection, set()).add(record["customerId"].partition("-")[0])
    assert verdicts == [Verdict.ACCEPTED] * 40
    assert sorted(senders.values()) == [{str(number)} for number in range(4)] or (
        {frozenset(each) for each in senders.values()} == {frozenset({str(number)}) for number in range(4)}
    )


FORKED = """
import os, sys
from track360_django.api.client import Client

client = Client(base_url=sys.argv[1], token="t")
assert client.post("/customers", ['{"who":"before"}']).verdict == "accepted"
child = os.fork()
who = "parent" if child else "child"
good = all(client.post("/customers", ['{"who":"%s"}' % who]).verdict == "accepted" for _ in range(20))
if not child:
    os._exit(0 if good else 1)
_, status = os.waitpid(child, 0)
sys.exit(0 if good and status == 0 else 1)
"""


def test_child_process_opens_a_connection_of_its_own(server: MisbehavingServer) -> None:
    """A client that crossed a fork leaves the parent's connection to the parent."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}

    subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORKED, server.url],
        env=environment,
        check=True,
        timeout=30,
    )

    connections: dict[str, set[int]] = {}
    for request in server.requests:
        (record,) = json.loads(request.body)
        connections.setdefault(record["who"], set()).add(request.connection)
    assert connections["parent"] == connections["before"]
    assert len(connections["child"]) == 1
    assert connections["child"].isdisjoint(connections["parent"])
    assert len(server.requests) == 41


# What never leaks.

ECHOES: Mapping[str, Callable[[str], str]] = {
    "plain": lambda text: text,
    "json": lambda text: json.dumps(text)[1:-1],
    "json-twice": lambda text: json.dumps(json.dumps(text)[1:-1])[1:-1],
    "html": lambda text: escape(text, quote=False),
    "html-with-quotes": escape,
    "html-of-json": lambda text: escape(json.dumps(text)),
    "json-of-html": lambda text: json.dumps(escape(text)),
    "url": quote,
    "form": quote_plus,
    "capitals": str.upper,
    "wrapped": lambda text: text.replace(" ", "\r\n    "),
    "with-control-characters": lambda text: f"{text[:3]}\x00{text[3:]}",
    "spaced-to-the-edge": lambda text: " " * 1990 + text,
}


# Pieces of token and person that survive each escaping.
PIECES = ("b1f4e7a2", "secret", "zo", "neill", "2001_1000", "2001%5f1000")


def find_leaks(*texts: str) -> list[tuple[str, str]]:
    """Return the pieces that are in a text, each with the text."""
    return [(piece, text) for text in texts for piece in PIECES if piece in text.lower()]


@pytest.mark.parametrize("echo", ECHOES)
@pytest.mark.parametrize("status", [200, 400, 401, 500])
def test_answer_that_repeats_the_request_leaks_nothing(
    server: MisbehavingServer,
    make_client: MakeClient,
    caplog: pytest.LogCaptureFixture,
    echo: str,
    status: int,
) -> None:
    """Token and personal values are in no answer, log record or repr, however the API repeats them."""
    caplog.set_level(logging.DEBUG)
    repeated = " | ".join(["Refused", *map(ECHOES[echo], (TOKEN, *PERSON.values()))])
    page = answer(status, f"<html>{repeated}".encode(), headers={"X-Echo": quote(repeated)})
    server.play(lambda: (Step.READ, page))
    client = make_client()

    result = client.post(CUSTOMERS, [BODY])

    texts = [result.error, repr(result), repr(client), str(client)]
    assert not find_leaks(*texts, *(record.getMessage() for record in caplog.records))
    assert "Refused" in result.error


def test_nested_and_numeric_values_are_private_too(
    server: MisbehavingServer, make_client: MakeClient
) -> None:
    """What BEFORE_SEND may add, lists, objects and numbers, is removed from the excerpt as well."""
    body = json.dumps({"customerId": "7", "contact": {"mail": ["zoe@example.com"]}, "phone": 491701234567})
    server.play(lambda: (Step.READ, answer(400, b"Refused: zoe@example.com, 491701234567")))

    result = make_client().post(CUSTOMERS, [body])

    assert "Refused" in result.error
    assert "zoe" not in result.error
    assert "4917" not in result.error


@pytest.mark.parametrize("name", [*UNCLEAR, "silence"])
def test_failure_leaks_nothing(  # noqa: PLR0913, PLR0917  every place where a leak could show
    server: MisbehavingServer,
    make_client: MakeClient,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    """A failed attempt shows token and names nowhere, even while http.client prints what it does."""
    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr(http.client.HTTPConnection, "debuglevel", 1)
    server.play({**UNCLEAR, **SLOW}[name])
    client = make_client(total_timeout_seconds=1)

    result = client.post(CUSTOMERS, [BODY])

    printed = capfd.readouterr()
    assert not find_leaks(
        repr(result), printed.out, printed.err, *(record.getMessage() for record in caplog.records)
    )


@pytest.mark.parametrize(
    "token",
    ["", "two words", "line\nbreak", "line\r\nX-Injected: 1", "schlüssel", "☃", "tab\t", "nul\x00", "\x7f"],
    ids=["empty", "space", "newline", "injection", "latin", "unicode", "tab", "nul", "delete"],
)
def test_token_that_no_header_takes_pauses_without_a_request(
    server: MisbehavingServer,
    make_client: MakeClient,
    caplog: pytest.LogCaptureFixture,
    token: str,
) -> None:
    """A token that can't be a header pauses the endpoint, sends nothing and is not repeated."""
    caplog.set_level(logging.DEBUG)

    result = make_client(token=token).post(CUSTOMERS, [BODY])

    assert (result.verdict, result.reason) == (Verdict.PAUSE, "misconfigured")
    assert "BRAND_TOKEN" in result.error
    assert not token or token not in result.error + caplog.text
    assert server.connections == 0


@pytest.mark.parametrize(
    ("base_url", "word"),
    [
        ("", "missing"),
        ("partners.example.com", "missing"),
        ("ftp://partners.example.com", "missing"),
        ("https://", "missing"),
        ("https://[broken", "is not a URL"),
        ("https://partners.example.com:port", "is not a URL"),
        ("https://partners.example.com:99999", "is not a URL"),
        ("https://partners.example.com/api", "scheme and host only"),
        ("https://partners.example.com?x=1", "scheme and host only"),
        ("https://partners.example.com#x", "scheme and host only"),
        ("https://user:password@partners.example.com", "scheme and host only"),
        ("https://partners.example.com?", "scheme and host only"),
        ("https://@partners.example.com", "scheme and host only"),
        ("https://partners example.com", "white space"),
        ("https://partners.example.com\n", "white space"),
        ("https://.example.com", "can't be built"),
        ("https://*.example.com", "can't be built"),
        ("http://partners.example.com", "plain http"),
        ("http://localhost.example.com", "plain http"),
        ("http://127.0.0.1.example.com", "plain http"),
    ],
)
def test_base_url_that_cannot_be_used_pauses_without_a_request(base_url: str, word: str) -> None:
    """A base URL that leads nowhere, or where the key must not go, pauses the endpoint and says why."""
    result = Client(base_url=base_url, token=TOKEN).post(CUSTOMERS, [BODY])

    assert (result.verdict, result.reason) == (Verdict.PAUSE, "misconfigured")
    assert word in result.error


@pytest.mark.parametrize(
    "base_url",
    ["https://partners.example.com", "https://partners.example.com:8443/", "http://127.0.0.1:8000"],
)
def test_base_url_that_can_be_used_has_no_problem(base_url: str) -> None:
    """Https everywhere and plain http on this machine are fine."""
    assert find_problem(base_url, TOKEN, allow_http=False) is None


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("192.0.2.1", False),
        ("localhost.example.com", False),
        ("", False),
    ],
)
def test_this_machine_is_told_from_others(host: str, expected: bool) -> None:  # noqa: FBT001  a table's column
    """Only loopback addresses and their name are this machine."""
    assert is_loopback(host) is expected


# The host's own judgement.


@pytest.mark.parametrize(
    ("check", "verdict", "reason"),
    [
        (lambda _status, _text: True, Verdict.ACCEPTED, ""),
        (lambda _status, _text: None, Verdict.ACCEPTED, ""),
        (lambda _status, _text: False, Verdict.REFUSED, "response_check"),
        (lambda _status, text: json.loads(text)["ok"], Verdict.REFUSED, "response_check"),
        (lambda _status, text: json.loads(text)["missing"], Verdict.PAUSE, "response_check_failed"),
        (lambda _status, text: json.loads(text + "}"), Verdict.PAUSE, "response_check_failed"),
        (lambda _status, _text: 1 / 0, Verdict.PAUSE, "response_check_failed"),
    ],
    ids=["true", "none", "false", "reads-the-answer", "key-error", "json-error", "division"],
)
def test_response_check_decides_about_a_good_answer(
    server: MisbehavingServer,
    make_client: MakeClient,
    check: Callable[[int, str], bool | None],
    verdict: Verdict,
    reason: str,
) -> None:
    """RESPONSE_CHECK may refuse what a good status accepted; where it fails, nobody knows, and nothing raises."""
    server.play(lambda: (Step.READ, answer(200, b'{"ok": false}')))

    result = make_client(response_check=check).post(CUSTOMERS, [BODY])

    assert (result.verdict, result.reason) == (verdict, reason)


def test_response_check_is_not_asked_about_a_bad_answer(
    server: MisbehavingServer, make_client: MakeClient
) -> None:
    """RESPONSE_CHECK can't turn a refusal into an acceptance."""
    server.play(lambda: (Step.READ, answer(400)))

    result = make_client(response_check=lambda _status, _text: True).post(CUSTOMERS, [BODY])

    assert result.verdict is Verdict.REFUSED


# Texts.


def test_excerpt_of_a_long_answer_is_short_and_printable(
    server: MisbehavingServer, make_client: MakeClient
) -> None:
    """The excerpt has one line of at most 200 characters, without escapes for a terminal."""
    server.play(lambda: (Step.READ, answer(400, b"\x1b[31mno\r\n\x00\xff" + b"x y " * 5000)))

    result = make_client().post(CUSTOMERS, [BODY])

    _, _, excerpt = result.error.partition("Answer: ")
    # A space at its end is not part of it.
    assert MAX_EXCERPT_CHARACTERS - 1 <= len(excerpt) <= MAX_EXCERPT_CHARACTERS
    assert excerpt.isprintable()


@pytest.mark.parametrize(
    ("text", "secrets", "expected"),
    [
        ("Al is Alone", {"Al"}, "[removed] is Alone"),
        ("Alexandra", {"Alexandra", "Alex"}, "[removed]"),
        ("ALEXANDRA", {"Alexandra"}, "[removed]"),
        ("a.c abc", {"a.c"}, "[removed] abc"),
        ("nothing", {"", " "}, "nothing"),
        ("100%41 100A", {"100%41"}, "[removed] [removed]"),
        ("caf\\u00e9 \\ud83c\\udfb0!", {"café 🎰"}, "[removed]!"),
        ("nothing", set(), "nothing"),
    ],
    ids=["short", "longest-first", "any-case", "no-pattern", "empty", "looks-escaped", "halves", "none"],
)
def test_secrets_are_removed_from_a_text(text: str, secrets: set[str], expected: str) -> None:
    """A secret is removed wherever it stands, a short one where it stands alone."""
    assert redact(text, secrets) == expected


def test_each_status_is_explained() -> None:
    """Each reason but acceptance has a sentence, and the frequent ones say what to do."""
    sentences = {status: explain(classify(status)[1], status) for status in range(100, 600)}

    assert all(sentence.startswith(f"HTTP {status}: ") for status, sentence in sentences.items())
    assert "BRAND_TOKEN" in sentences[401]
    assert "BASE_URL" in sentences[404]
    assert "BATCH_BYTES" in sentences[413]
