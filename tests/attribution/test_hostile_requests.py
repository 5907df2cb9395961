"""
Whatever a stranger sends, in URL, cookie, header or body: the host answers as it does without us.

Each request is sent twice, byte by byte the same: to the host with our middleware, and to the host without it.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Sequence
from typing import Any, Final

import pytest
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from pytest_django import Settings as HostSettings

from tests.host.hostile import PATHS
from tests.wires import Answer, Request, each_over_asgi, over_asgi, over_wsgi

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.urls("tests.host.hostile"),
]

TRACKING: Final = "track360_django.middleware.TrackingMiddleware"
FORM: Final = b"application/x-www-form-urlencoded"
JSON: Final = b"application/json"
PARTS: Final = b"multipart/form-data; boundary=cut"
FIELDS: Final = (b"tracking_data", b"t360_at", b"t360", b"promo_code", b"page", b"")
GOOD: Final = b"2001_1000_abc"
# Values that nobody means well with.
VALUES: Final = (
    GOOD, b"", b"\x00", b"%00", b"%ff%fe", b"\xff\xfe", b"%ED%A0%80", b"\xed\xa0\x80", b"%zz%", b"%", b"a%0d%0aSet-Cookie: x=y",
    b"\r", b"+", b"-1", b"1e999", b"NaN", b"9" * 400, b"x" * 51, b"x" * 100_000, b"null", b"[]", b"{}", b'"', b"\\ud800", b";", b"=",
    b"a:b:c", b"eyJhIjoxfQ:1abc:forged", b".eJw:1:2", b"\xc3\xa9", b"%25%32%35", b"../../etc", b"' OR 1=1 --", b"<script>",
)  # fmt: skip


def part(name: bytes, value: bytes) -> bytes:
    """Return one field of a multipart body."""
    return b'--cut\r\nContent-Disposition: form-data; name="' + name + b'"\r\n\r\n' + value + b"\r\n"


MULTIPART: Final = part(b"tracking_data", GOOD) + part(b"promo_code", b"X") + b"--cut--\r\n"
NESTED: Final = b"[" * 100_000 + b"]" * 100_000
# Content type, body, and the length that is claimed, if it is a lie.
BODIES: Final[dict[str, tuple[bytes, bytes, bytes | None]]] = {
    "json": (JSON, b'{"tracking_data": "a", "t360_at": 1763800000, "t360": "x", "promo_code": "X"}', None),
    "json-of-other-types": (JSON, b'{"tracking_data": [1], "t360_at": {}, "t360": null, "promo_code": 1e400}', None),
    "json-list": (JSON, b'["tracking_data"]', None),
    "json-text": (JSON, b'"tracking_data"', None),
    "json-nested-deep": (JSON, NESTED, None),
    "json-object-nested-deep": (JSON, b'{"tracking_data":' * 50_000 + b"1" + b"}" * 50_000, None),
    "json-huge-number": (JSON, b'{"t360_at": ' + b"9" * 10_000 + b', "tracking_data": "a"}', None),
    "json-duplicate-keys": (JSON, b'{"tracking_data": "a", "tracking_data": "b", "tracking_data": 3}', None),
    "json-invalid-utf-8": (JSON, b'{"tracking_data": "\xff"}', None),
    "json-nul": (JSON, b'{"tracking_data": "a\\u0000b"}\x00', None),
    "json-surrogate": (JSON, b'{"tracking_data": "\\ud800", "promo_code": "\\udfff"}', None),
    "json-utf-16": (JSON + b"; charset=utf-16", '{"tracking_data": "a"}'.encode("utf-16"), None),
    "json-unknown-charset": (JSON + b"; charset=klingon", b'{"tracking_data": "a"}', None),
    "json-byte-order-mark": (JSON, b'\xef\xbb\xbf{"tracking_data": "a"}', None),
    "json-nan": (JSON, b'{"tracking_data": NaN, "t360_at": Infinity}', None),
    "json-truncated": (JSON, b'{"tracking_data": "a', None),
    "json-empty": (JSON, b"", None),
    "json-shorter-than-said": (JSON, b'{"tracking_data": "a"}', b"4000"),
    "json-longer-than-said": (JSON, b'{"tracking_data": "a"}', b"5"),
    "json-of-no-length": (JSON, b'{"tracking_data": "a"}', b""),
    "json-of-a-nonsense-length": (JSON, b'{"tracking_data": "a"}', b"nonsense"),
    "json-of-a-negative-length": (JSON, b'{"tracking_data": "a"}', b"-7"),
    "json-as-form": (FORM, b'{"tracking_data": "a"}', None),
    "json-of-three-megabytes": (JSON, b'{"tracking_data": "a", "x": "' + b"x" * 3_000_000 + b'"}', None),
    "vendor-json": (b"application/vnd.api+json", b'{"tracking_data": "a"}', None),
    "form": (FORM, b"tracking_data=a&t360_at=1763800000&t360=x&promo_code=X", None),
    "form-duplicate-keys": (FORM, b"tracking_data=a&" * 500 + b"tracking_data=b", None),
    "form-too-many-fields": (FORM, b"tracking_data=a" + b"&a=1" * 1001, None),
    "form-invalid-utf-8": (FORM, b"tracking_data=%ff&promo_code=\xff", None),
    "form-nul": (FORM, b"tracking_data=%00&promo_code=\x00", None),
    "form-other-charset": (FORM + b"; charset=latin-1", b"tracking_data=%e9", None),
    "form-unknown-charset": (FORM + b"; charset=klingon", b"tracking_data=a", None),
    "form-of-three-megabytes": (FORM, b"tracking_data=a&x=" + b"x" * 3_000_000, None),
    "form-shorter-than-said": (FORM, b"tracking_data=a", b"4000"),
    "form-longer-than-said": (FORM, b"tracking_data=abcdef", b"16"),
    "parts": (PARTS, MULTIPART, None),
    "parts-truncated": (PARTS, MULTIPART[:60], None),
    "parts-shorter-than-said": (PARTS, MULTIPART, b"4000"),
    "parts-of-no-boundary": (b"multipart/form-data", MULTIPART, None),
    "parts-of-a-wrong-boundary": (b"multipart/form-data; boundary=other", MULTIPART, None),
    "parts-of-a-strange-boundary": (b'multipart/form-data; boundary="\xe9 "', MULTIPART, None),
    "parts-with-a-file": (
        PARTS,
        MULTIPART[:-9] + b'--cut\r\nContent-Disposition: form-data; name="tracking_data"; filename="a"\r\n\r\nfile\r\n--cut--\r\n',
        None,
    ),
    "parts-with-a-large-file": (
        PARTS,
        b'--cut\r\nContent-Disposition: form-data; name="f"; filename="a"\r\n\r\n' + b"x" * 3_000_000 + b"\r\n" + MULTIPART,
        None,
    ),
    "parts-in-base64": (
        PARTS,
        b'--cut\r\nContent-Disposition: form-data; name="tracking_data"\r\nContent-Transfer-Encoding: base64\r\n\r\n!!!\r\n--cut--\r\n',
        None,
    ),
    "no-type": (b"", b"tracking_data=a", None),
    "nonsense-type": (b"\xff;;;=,", b"tracking_data=a", None),
    "binary": (b"application/octet-stream", bytes(range(256)) * 8, None),
}  # fmt: skip
# Header and values; most are sent with a landing, and with a signup.
HEADERS: Final[dict[str, tuple[bytes, ...]]] = {
    "X-Track360-Tracking": (*VALUES, b"tracking_data=a&t360_at=x", b"tracking_data=a&" * 3000, b"t360=forged"),
    "Cookie": (
        b"track360=forged", b"track360=" + b"x" * 100_000, b"track360=%00; sessionid=%00", b"track360=\x00; sessionid=\x00" + b"a" * 31,
        b"track360=\xff\xfe; sessionid=" + b"\xff" * 32, b"track360_js=tracking_data%3Da%26t360_at%3D1", b"track360_js=\xff%ff%00",
        b"track360_js=" + b"%" * 9000, b"sessionid=" + b"a" * 32, b"sessionid=" + b"a" * 9000, b"sessionid='; DROP TABLE x", b";;;=;=",
        b"track360", b"track360=a; track360=b", b"\xed\xa0\x80=\xed\xa0\x80", b'track360="quoted\\" ; sessionid="',
        b"track360=.eJyrVkrLLCouUbKqVipILErMLVayUopRKkmtKFHSUSopAgkYGRgYxhsaGBgCuUmpRSlKtbUAqwoOdw:1vKx:forged",
    ),
    "Sec-Fetch-Dest": (b"", b"\xff", b"document", b"iframe", b"x" * 9000),
    "Sec-Purpose": (b"\xff\xfe", b"prefetch", b"\x00"),
    "Purpose": (b"\xff",),
    "User-Agent": (b"", b"\xff" * 100, b"bot" * 20_000, b"\x00", b"cubot cubot bot"),
    "Host": (b"", b"evil.example", b"\xff", b"testserver:0:1", b"[::1", b"a" * 3000, b"testserver\x00"),
    "Content-Type": (b"\x00", b"text/plain; charset=\xff", b"multipart/form-data"),
    "Accept-Language": (b"\xff",),
    "Authorization": (b"Bearer \xff",),
    "Referer": (b"\xff\x00",),
    "X-Forwarded-Host": (b"evil.example",),
    "X-Requested-With": (b"\xff",),
}  # fmt: skip


@pytest.fixture(params=["wsgi", "asgi"])
def server(request: pytest.FixtureRequest) -> str:
    """Return the kind of server that the host runs behind."""
    kind: str = request.param
    return kind


@pytest.fixture
def differences(
    settings: HostSettings, server: str, caplog: pytest.LogCaptureFixture
) -> Callable[[Sequence[Request]], list[str]]:
    """Return a function that sends requests to the host with us and without us, and returns what differs."""
    # Django logs each error with a traceback that has the whole body in it, and pytest keeps them all.
    caplog.set_level(logging.CRITICAL, logger="django.request")
    settings.DEBUG = False
    assert TRACKING in settings.MIDDLEWARE
    host: type[WSGIHandler | ASGIHandler] = WSGIHandler if server == "wsgi" else ASGIHandler
    with_us = host()
    settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if name != TRACKING]
    without_us = host()

    def send(requests: Sequence[Request], handler: Any) -> list[Answer]:
        if server == "asgi":
            return each_over_asgi(requests, handler)
        return [over_wsgi(request, handler) for request in requests]

    def compare(requests: Sequence[Request]) -> list[str]:
        answers = zip(requests, send(requests, with_us), send(requests, without_us), strict=True)
        return [f"{str(request)[:300]}\n{ours}\n{bare}" for request, ours, bare in answers if ours != bare]

    return compare


@pytest.mark.parametrize("name", BODIES)
def test_view_sees_the_same_body(
    differences: Callable[[Sequence[Request]], list[str]], server: str, name: str
) -> None:
    """Whoever reads first, and however much: the view's own look at the body is as it is without us."""
    # ASGI, which is slower, takes a third of the pages with each body, and all of them with any three.
    begin = list(BODIES).index(name) % 3
    paths = PATHS if server == "wsgi" else PATHS[begin::3]
    content_type, body, length = BODIES[name]
    headers = {"Content-Type": content_type} if content_type else {}

    found = differences(
        [Request(path=path, method="POST", headers=headers, body=body, length=length) for path in paths]
    )

    assert not found, "\n".join(found)


@pytest.mark.parametrize("name", HEADERS)
def test_header_of_a_stranger_changes_nothing(
    differences: Callable[[Sequence[Request]], list[str]], name: str
) -> None:
    """A header is read or not; the page is the same, on a landing, a plain page and a signup."""
    found = differences(
        [
            Request(path=path, method=method, query=query, headers={name: value})
            for value in HEADERS[name]
            for path, method, query in (
                ("/hostile/query-cookies-session-host/", "GET", b"tracking_data=a"),
                ("/hostile/query-cookies-session-host/", "GET", b""),
                ("/hostile/join/", "POST", b""),
            )
        ]
    )

    assert not found, "\n".join(found)


def test_query_of_a_stranger_changes_nothing(differences: Callable[[Sequence[Request]], list[str]]) -> None:
    """A query string of raw bytes is answered as it is without us, by whoever reads it and whoever does not."""
    found = differences(
        [
            Request(path=path, query=name + b"=" + value, method=method)
            for name, path, method in (
                (b"tracking_data", "/hostile/query-cookies-session-host/", "GET"),
                (b"t360", "/hostile/query-cookies-session-host/", "GET"),
                (b"tracking%5Fdata", "/hostile/untouched/", "GET"),
                (b"tracking_data", "/hostile/join/", "POST"),
            )
            for value in VALUES
        ]
    )

    assert not found, "\n".join(found)


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "TRACE", "PATCH", "PROPFIND", "get", "\u00e9"])
def test_method_of_a_stranger_changes_nothing(
    differences: Callable[[Sequence[Request]], list[str]], method: str
) -> None:
    """A method that nobody knows is the view's to answer."""
    assert not differences([Request(method=method, query=b"tracking_data=a")])


@pytest.mark.parametrize("content_type", [JSON, FORM, PARTS])
def test_client_that_hangs_up_leaves_what_it_leaves_without_us(
    settings: HostSettings, content_type: bytes
) -> None:
    """A client that is gone in the middle of its body gets no answer, and raises nothing of ours."""
    requests = [
        Request(path=path, method="POST", headers={"Content-Type": content_type}, body=MULTIPART)
        for path in PATHS
    ]
    with_us = [over_asgi(request, hangs_up=True) for request in requests]
    settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if name != TRACKING]

    assert with_us == [over_asgi(request, hangs_up=True) for request in requests]


def random_request(dice: random.Random) -> Request:
    """Return a request that is put together by chance, from what is good and what is not."""
    pairs = [dice.choice(FIELDS) + b"=" + dice.choice(VALUES) for _ in range(dice.randrange(4))]
    content_type, body, length = dice.choice([*BODIES.values(), (FORM, b"&".join(pairs), None)])
    if dice.random() < 0.3 and body:
        begin = dice.randrange(len(body))
        body = body[:begin] + dice.randbytes(dice.randrange(20)) + body[begin + dice.randrange(20) :]
    names = dice.sample(sorted(HEADERS), dice.randrange(4))
    return Request(
        path=dice.choice(PATHS),
        method=dice.choice(("GET", "GET", "POST", "POST", "PUT", "HEAD")),
        query=b"&".join(pairs),
        headers={"Content-Type": content_type, **{name: dice.choice(HEADERS[name]) for name in names}},
        body=body,
        length=length if dice.random() < 0.9 else dice.choice((b"0", b"1", b"99999999999999999999")),
    )


@pytest.mark.parametrize("seed", range(6))
def test_request_by_chance_is_answered_as_without_us(
    differences: Callable[[Sequence[Request]], list[str]], seed: int
) -> None:
    """Fifty requests of each seed, with anything anywhere, are answered as they are without us."""
    dice = random.Random(seed)

    found = differences([random_request(dice) for _ in range(50)])

    assert not found, "\n".join(found)
