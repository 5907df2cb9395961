"""
Middleware cost: microseconds a request above an empty middleware, beside the middlewares of django-utm-tracker.

All stand behind Django's session and authentication middlewares, as their documentation asks; what they cause there
(a session that is loaded, saved, named in `Vary`) is their cost. The request is made before the clock starts.
"""

from __future__ import annotations

import io
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from django.conf import settings
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpRequest, HttpResponse
from django.test import override_settings
from utm_tracker.middleware import LeadSourceMiddleware, UtmSessionMiddleware

from benchmarks.figures import Aim, Comparison, Result, compare, percentile
from benchmarks.options import Options
from benchmarks.stage import Stage
from track360_django.middleware import TrackingMiddleware

View = Callable[[HttpRequest], HttpResponse]
Handler = Callable[[WSGIRequest], Any]


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind of request: what it brings, how many make a round, and where the host remembers."""

    query: str = ""
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    storage: tuple[str, ...] = ("session", "cookie")
    count: int = 3_000

    @property
    def is_landing(self) -> bool:
        """Whether it brings something to remember."""
        return "tracking_data" in self.query


LANDING: Final = "tracking_data=2001_1000_abcdefg"
KINDS: Final = {
    "no query string": Kind(),
    "a foreign query string": Kind(query="page=2&sort=price&q=blackjack"),
    "a JSON body without the parameter": Kind(
        body=b'{"page": 2}', headers={"CONTENT_TYPE": "application/json"}
    ),
    "the header of a script": Kind(
        headers={"HTTP_X_TRACK360_TRACKING": f"{LANDING}&t360_at=1763800000"}, count=600
    ),
    "a landing, in session and cookie": Kind(query=LANDING, count=600),
    "a landing, in the session": Kind(query=LANDING, storage=("session",), count=600),
    "a landing, in the cookie": Kind(query=LANDING, storage=("cookie",), count=600),
}
# What the host may be charged: microseconds at the median without a parameter, at p99 with one.
PLAIN_MICROSECONDS: Final = 2.0
LANDING_MICROSECONDS: Final = 1_000.0
# What a browser says of a page that a person opens.
HEADERS: Final = {
    "HTTP_USER_AGENT": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "HTTP_ACCEPT": "text/html,application/xhtml+xml",
    "HTTP_SEC_FETCH_MODE": "navigate",
    "HTTP_SEC_FETCH_DEST": "document",
}


class EmptyMiddleware:
    """Passes through."""

    def __init__(self, get_response: View) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Pass through."""
        return self.get_response(request)


def view(_request: HttpRequest) -> HttpResponse:
    """Answer as shortly as possible."""
    return HttpResponse(b"ok")


def handlers() -> dict[str, Handler]:
    """Return the contestants, each behind what it needs."""
    contestants: dict[str, Any] = {
        "empty": EmptyMiddleware(view),
        "ours": TrackingMiddleware(view),
        "django-utm-tracker": UtmSessionMiddleware(LeadSourceMiddleware(view)),
    }
    return {
        name: SessionMiddleware(AuthenticationMiddleware(contestant))
        for name, contestant in contestants.items()
    }


def run(_stage: Stage, options: Options) -> Result:
    """Measure each kind of request."""
    contestants = handlers()
    comparisons: list[Comparison] = []
    aims: list[Aim] = []
    for condition, kind in KINDS.items():
        with override_settings(TRACK360={**settings.TRACK360, "STORAGE": kind.storage}):
            _check(contestants, kind)
            added, worst = _measure(contestants, condition, kind, options)
        comparisons.append(compare(condition, "µs/request", added, [("ours", "django-utm-tracker")]))
        if kind.is_landing:
            comparisons.append(compare(f"{condition}, p99", "µs/request", worst, []))
            name, figures, most = f"µs that {condition} adds at p99", worst, LANDING_MICROSECONDS
        else:
            name, figures, most = f"µs that ours adds to {condition}", added, PLAIN_MICROSECONDS
        aims.append(Aim(name=name, figure=statistics.median(figures["ours"]), at_most=most))
    return Result(
        name="middleware",
        title="Middleware cost of a request",
        comparisons=comparisons,
        aims=aims,
        facts={
            "figures": "microseconds a request; ours and django-utm-tracker are what they add to the empty one, at "
            "p99 what they add to its median"
        },
    )


def _measure(
    contestants: Mapping[str, Handler], condition: str, kind: Kind, options: Options
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Return, round by round, what each contestant adds at the median and at p99."""
    added: dict[str, list[float]] = {name: [] for name in contestants}
    worst: dict[str, list[float]] = {name: [] for name in contestants}
    for number in range(options.rounds):
        times = _round(contestants, kind, options.scaled(kind.count, 30))
        empty = statistics.median(times["empty"])
        for name, values in times.items():
            own = 0 if name == "empty" else empty
            added[name].append(statistics.median(values) - own)
            worst[name].append(percentile(values, 99) - own)
        last = ", ".join(f"{name} {values[-1]:.2f}" for name, values in added.items())
        options.say(f"middleware, {condition}, round {number + 1}: {last} µs")
    return added, worst


def _round(contestants: Mapping[str, Handler], kind: Kind, count: int) -> dict[str, list[float]]:
    """Return the microseconds of each contestant's requests; they take turns with every request."""
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(count):
        for name, handler in contestants.items():
            request = _request(kind)
            begun = time.perf_counter_ns()
            handler(request)
            times[name].append((time.perf_counter_ns() - begun) / 1000)
    return times


def _request(kind: Kind) -> WSGIRequest:
    return WSGIRequest(
        {
            "REQUEST_METHOD": "POST" if kind.body else "GET",
            "PATH_INFO": "/",
            "QUERY_STRING": kind.query,
            "SERVER_NAME": "testserver",
            "SERVER_PORT": "80",
            "CONTENT_LENGTH": str(len(kind.body)),
            "wsgi.input": io.BytesIO(kind.body),
            "wsgi.url_scheme": "http",
            **HEADERS,
            **kind.headers,
        }
    )


def _check(contestants: Mapping[str, Handler], kind: Kind) -> None:
    """Make sure that a landing is remembered by those who are to remember it: nothing is cheaper than nothing."""
    if not kind.is_landing:
        return
    for name, handler in contestants.items():
        response = handler(_request(kind))
        if bool(response.cookies) == (name == "empty"):
            message = f"{name} did not do with a landing what it is there for"
            raise RuntimeError(message)
