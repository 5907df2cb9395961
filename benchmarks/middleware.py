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
from typing import Any, Final

from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpRequest, HttpResponse
from utm_tracker.middleware import LeadSourceMiddleware, UtmSessionMiddleware

from benchmarks.figures import Result, compare
from benchmarks.options import Options
from benchmarks.stage import Stage
from track360_django.middleware import TrackingMiddleware

View = Callable[[HttpRequest], HttpResponse]
Handler = Callable[[WSGIRequest], Any]

# A query string, and how many requests make one round.
REQUESTS: Final = {
    "no query string": ("", 3_000),
    "a foreign query string": ("page=2&sort=price&q=blackjack", 3_000),
    "a landing with the parameter": ("tracking_data=2001_1000_abcdefg", 300),
}
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
    """Measure three kinds of requests."""
    contestants = handlers()
    _check(contestants)
    comparisons = []
    for condition, (query, count) in REQUESTS.items():
        added: dict[str, list[float]] = {name: [] for name in contestants}
        for number in range(options.rounds):
            medians = _round(contestants, query, options.scaled(count, 30))
            for name, median in medians.items():
                added[name].append(median - (medians["empty"] if name != "empty" else 0))
            last = ", ".join(f"{name} {values[-1]:.2f}" for name, values in added.items())
            options.say(f"middleware, {condition}, round {number + 1}: {last} µs")
        comparisons.append(compare(condition, "µs/request", added, [("ours", "django-utm-tracker")]))
    return Result(
        name="middleware",
        title="Middleware cost of a request",
        comparisons=comparisons,
        facts={
            "figures": "microseconds a request; ours and django-utm-tracker are what they add to the empty one"
        },
    )


def _round(contestants: Mapping[str, Handler], query: str, count: int) -> dict[str, float]:
    """Return the median microseconds of each contestant; they take turns with every request."""
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(count):
        for name, handler in contestants.items():
            request = _request(query)
            begun = time.perf_counter_ns()
            handler(request)
            times[name].append((time.perf_counter_ns() - begun) / 1000)
    return {name: statistics.median(values) for name, values in times.items()}


def _request(query: str) -> WSGIRequest:
    return WSGIRequest(
        {
            "REQUEST_METHOD": "GET",
            "PATH_INFO": "/",
            "QUERY_STRING": query,
            "SERVER_NAME": "testserver",
            "SERVER_PORT": "80",
            "wsgi.input": io.BytesIO(),
            "wsgi.url_scheme": "http",
            **HEADERS,
        }
    )


def _check(contestants: Mapping[str, Handler]) -> None:
    """Make sure that a landing is remembered by those who are to remember it: nothing is cheaper than nothing."""
    for name, handler in contestants.items():
        response = handler(_request(REQUESTS["a landing with the parameter"][0]))
        if bool(response.cookies) == (name == "empty"):
            message = f"{name} did not do with a landing what it is there for"
            raise RuntimeError(message)
