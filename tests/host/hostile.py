"""Pages that say what they see of a request, in every order in which a host may look at it."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Sequence
from typing import Any, Final

from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.urls import include, path
from django.views.decorators.csrf import csrf_exempt


def _digest(content: bytes) -> str:
    return f"{len(content)} {hashlib.sha256(content).hexdigest()[:12]}"


def _fields(request: HttpRequest) -> str:
    fields = sorted((name, request.POST.getlist(name)) for name in request.POST)
    uploads: Any = request.FILES.items()
    files = sorted((name, each.name, _digest(each.read())) for name, each in uploads)
    return f"{fields!a} {files!a}"


def _join(request: HttpRequest) -> str:
    User.objects.create_user(uuid.uuid4().hex)
    return "joined"


# What a view may do with a request, by a word.
LOOKS: Final[dict[str, Callable[[HttpRequest], object]]] = {
    "body": lambda request: _digest(request.body),
    "form": _fields,
    "bit": lambda request: request.read(7),
    "rest": lambda request: _digest(request.read()),
    "lines": lambda request: [_digest(line) for line in request],
    "query": lambda request: sorted(dict(request.GET.lists()).items()),
    "cookies": lambda request: sorted(request.COOKIES.items()),
    "session": lambda request: request.session.get("of the host"),
    "host": lambda request: request.get_host(),
    "join": _join,
}
# In which order; every view that joins lets us look at the request before the view has, or after it.
ORDERS: Final[tuple[tuple[str, ...], ...]] = (
    (),
    ("body",),
    ("form", "body"),
    ("body", "form"),
    ("bit", "rest"),
    ("lines",),
    ("query", "cookies", "session", "host"),
    ("join",),
    ("join", "body", "form"),
    ("join", "form"),
    ("join", "rest"),
    ("body", "join", "form"),
    ("bit", "join", "rest"),
)


def look(request: HttpRequest, order: Sequence[str]) -> HttpResponse:
    """Look at a request, and say what was seen or which error it was."""
    seen = []
    for word in order:
        try:
            seen.append(f"{word}: {LOOKS[word](request)!a}")
        except Exception as error:  # noqa: BLE001  whatever it is, it is to be the same
            seen.append(f"{word}: {type(error).__name__}")
    return HttpResponse("\n".join(seen))


def _view(order: Sequence[str]) -> Callable[[HttpRequest], HttpResponse]:
    return csrf_exempt(lambda request: look(request, order))


def _careless(request: HttpRequest) -> HttpResponse:
    """Answer with what a careless host lets through: its errors are Django's to answer."""
    return HttpResponse(f"{_fields(request)} {sorted(request.GET)!a}")


@csrf_exempt
async def _async(request: HttpRequest) -> HttpResponse:
    """Answer asynchronously."""
    found: Any = look(request, ("body", "form", "query", "cookies"))
    return found  # type: ignore[no-any-return]


def path_of(order: Sequence[str]) -> str:
    """Return the path of the page that looks in this order."""
    return f"/hostile/{'-'.join(order) or 'untouched'}/"


PATHS: Final = (*(path_of(order) for order in ORDERS), "/hostile/careless/", "/hostile/async/")

urlpatterns = [
    *(path(path_of(order)[1:], _view(order)) for order in ORDERS),
    path("hostile/careless/", csrf_exempt(_careless)),
    path("hostile/async/", _async),
    path("", include("tests.host.urls")),
]
