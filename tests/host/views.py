"""Views of a host, as small as they can be: each does one thing that a real one does among others."""

from __future__ import annotations

import json
from typing import Any

from allauth.account.signals import user_signed_up
from django.contrib.auth import logout
from django.contrib.auth.models import User
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.template import RequestContext, Template

from tests.host.people import Player, Trader
from track360_django import activities, attribution, customers
from track360_django.signals import customer_signed_up


def page(request: HttpRequest) -> HttpResponse:
    """Answer without a look at session, cookies or parameters."""
    return HttpResponse("page")


async def async_page(request: HttpRequest) -> HttpResponse:
    """Answer the same, asynchronously."""
    return HttpResponse("page")


def public(request: HttpRequest) -> HttpResponse:
    """Answer with a page that any cache may keep."""
    return HttpResponse("page", headers={"Cache-Control": "public, max-age=600"})


def hop(request: HttpRequest) -> HttpResponse:
    """Send the visitor on, without the query string."""
    return redirect("/host/page/")


def missing(request: HttpRequest) -> HttpResponse:
    """Find nothing."""
    raise Http404


def broken(request: HttpRequest) -> HttpResponse:
    """Fail as only a bug does."""
    message = "a bug of the host"
    raise RuntimeError(message)


def log_out(request: HttpRequest) -> HttpResponse:
    """Forget the visitor's session."""
    logout(request)
    return HttpResponse("bye")


def touches(request: HttpRequest) -> JsonResponse:
    """Say what `request.track360` remembers."""
    return JsonResponse(_spell(_touches(request).memory))


async def async_touches(request: HttpRequest) -> JsonResponse:
    """Say what `request.track360` remembers, without blocking."""
    return JsonResponse(_spell(await _touches(request).aload()))


def join(request: HttpRequest) -> HttpResponse:
    """Sign somebody up."""
    _create(request)
    return HttpResponse("welcome")


def join_and_fail(request: HttpRequest) -> HttpResponse:
    """Sign somebody up, then fail."""
    _create(request)
    message = "a bug of the host"
    raise RuntimeError(message)


def join_by_code(request: HttpRequest) -> HttpResponse:
    """Sign somebody up who typed a code in, which counts more than any link."""
    customers.report(_create(request), request=request, tracking={"tracking_data": request.POST["code"]})
    return HttpResponse("welcome")


def join_for(request: HttpRequest) -> HttpResponse:
    """Sign somebody up at a brand that the form names."""
    customers.report(_create(request), request=request, brand=request.POST["brand"])
    return HttpResponse("welcome")


def join_announced_for(request: HttpRequest) -> HttpResponse:
    """Announce a signup at a brand that the form names."""
    customer_signed_up.send(sender=User, user=_create(request), request=request, brand=request.POST["brand"])
    return HttpResponse("welcome")


def join_as_staff(request: HttpRequest) -> HttpResponse:
    """Make a colleague."""
    _create(request, is_staff=True)
    return HttpResponse("welcome")


def join_and_be_promoted(request: HttpRequest) -> HttpResponse:
    """Make somebody, and make them a colleague a moment later."""
    user = _create(request)
    user.is_staff = True
    user.save()
    return HttpResponse("welcome")


def join_inactive(request: HttpRequest) -> HttpResponse:
    """Sign somebody up who has to confirm an address first."""
    _create(request, is_active=False)
    return HttpResponse("look into your mail")


def join_as_player(request: HttpRequest) -> HttpResponse:
    """Sign somebody up through a proxy of the user model."""
    Player.objects.create(username=request.POST["username"], is_active="asleep" not in request.POST)
    return HttpResponse("welcome")


def join_as_trader(request: HttpRequest) -> HttpResponse:
    """Sign somebody up through a child of the user model."""
    Trader.objects.create(username=request.POST["username"])
    return HttpResponse("welcome")


def become_trader(request: HttpRequest) -> HttpResponse:
    """Add the child of a user who has been there."""
    user = User.objects.get(username=request.POST["username"])
    Trader.objects.create(user_ptr=user, username=user.username)
    return HttpResponse("welcome")


def invite(request: HttpRequest) -> HttpResponse:
    """Make a user, as a package does that announces it, whoever asks."""
    user_signed_up.send(sender=User, request=request, user=_create(request))
    return HttpResponse("invited")


def join_by_code_of_house(request: HttpRequest) -> HttpResponse:
    """Sign somebody up whose brand is known when the user is there, and announce it then."""
    user = _create(request)
    setattr(request, "house", request.POST["house"])  # noqa: B010  what a host's own middleware might set
    user_signed_up.send(sender=User, request=request, user=user)
    return HttpResponse("welcome")


def announce_nobody(request: HttpRequest) -> HttpResponse:
    """Announce a signup, and forget to say whose."""
    customer_signed_up.send(sender=User, instance=None)
    return HttpResponse("announced")


def join_elsewhere(request: HttpRequest) -> HttpResponse:
    """Sign somebody up in another database."""
    User.objects.using("other").create(username=request.POST["username"])
    return HttpResponse("welcome")


async def async_join(request: HttpRequest) -> HttpResponse:
    """Sign somebody up, asynchronously."""
    await User.objects.acreate_user(request.POST["username"])
    return HttpResponse("welcome")


def join_json(request: HttpRequest) -> HttpResponse:
    """Sign somebody up who sends JSON."""
    User.objects.create_user(json.loads(request.body)["username"])
    return HttpResponse("welcome")


def join_json_stream(request: HttpRequest) -> HttpResponse:
    """Sign somebody up whose JSON is read as a stream, as Django REST framework does."""
    User.objects.create_user(json.loads(request.read())["username"])
    return HttpResponse("welcome")


def join_blindly(request: HttpRequest) -> HttpResponse:
    """Sign somebody up without a look at the body."""
    User.objects.create_user(request.GET["username"])
    return HttpResponse("welcome")


def join_and_roll_back(request: HttpRequest) -> HttpResponse:
    """Sign somebody up, and think better of it."""
    with transaction.atomic():
        _create(request)
        transaction.set_rollback(True)
    return HttpResponse("try again")


def fields(request: HttpRequest) -> JsonResponse:
    """Say what a form of this page would carry."""
    return JsonResponse(_touches(request).as_fields())


def carry(request: HttpRequest) -> HttpResponse:
    """Say what a link to an app would carry."""
    return HttpResponse(attribution.carry(request))


def agree(request: HttpRequest) -> HttpResponse:
    """Take a form that the host reads."""
    return HttpResponse(f"{len(request.POST)} fields")


def begin_session(request: HttpRequest) -> HttpResponse:
    """Begin a session, as a visitor who fills a cart has one."""
    request.session["seen"] = True
    return HttpResponse("hello")


def slow(request: HttpRequest) -> HttpResponse:
    """Look into the session, while another tab puts something into the cart."""
    request.session.get("cart")
    other = type(request.session)(request.session.session_key)
    other["cart"] = [1]
    other.save()
    return HttpResponse("page")


def withdraw(request: HttpRequest) -> HttpResponse:
    """Forget a visitor who asks for it."""
    _touches(request).forget()
    return HttpResponse("forgotten")


def report(request: HttpRequest) -> HttpResponse:
    """Report somebody by name, whoever asks, without handing the request on."""
    customers.report(User.objects.get(username=request.GET["username"]))
    return HttpResponse("reported")


def report_visitor(request: HttpRequest) -> HttpResponse:
    """Report somebody by name, with the touches of whoever asks."""
    user = User.objects.get(username=request.GET["username"])
    customers.report(user, request=request, brand=request.GET.get("brand"))
    return HttpResponse("reported")


def announce(request: HttpRequest) -> HttpResponse:
    """Announce a signup with the signal of the package."""
    user = User.objects.get(username=request.GET["username"])
    customer_signed_up.send(sender=User, user=user, request=request)
    return HttpResponse("announced")


def pay(request: HttpRequest) -> HttpResponse:
    """Book a deposit for somebody by name, whoever asks."""
    user = User.objects.get(username=request.GET["username"])
    eventid = request.GET.get("eventid", f"pay-{user.pk}")
    activities.report("Deposit", customer=user, value=5, currency="USD", eventid=eventid)
    return HttpResponse("paid")


def pay_id(request: HttpRequest) -> HttpResponse:
    """Book a deposit for somebody by their id at Track360, whoever asks."""
    customer = request.GET["customer"]
    activities.report("Deposit", customer=customer, value=5, currency="USD", eventid=f"pay-{customer}")
    return HttpResponse("paid")


def update_visitor(request: HttpRequest) -> HttpResponse:
    """Report changed fields of somebody by name."""
    fields: dict[str, Any] = {name: value for name, value in request.POST.items() if name != "username"}
    customers.update(User.objects.get(username=request.POST["username"]), request=request, **fields)
    return HttpResponse("updated")


def form(request: HttpRequest) -> HttpResponse:
    """Show a form that is sent without cookies."""
    return HttpResponse(_form(request))


async def async_form(request: HttpRequest) -> HttpResponse:
    """Show the same form, asynchronously, from templates that know nothing of it."""
    return HttpResponse(_form(request))


def _form(request: HttpRequest) -> str:
    template = Template("{% load track360 %}<form>{% track360_field %}</form>")
    return template.render(RequestContext(request))


def _create(request: HttpRequest, **fields: Any) -> User:
    return User.objects.create_user(request.POST["username"], **fields)


def _touches(request: HttpRequest) -> attribution.Touches:
    found: Any = getattr(request, "track360", None)
    assert isinstance(found, attribution.Touches)
    return found


def _spell(memory: attribution.Memory) -> dict[str, Any]:
    return {
        "first": dict(memory.first.params) if memory.first else None,
        "last": dict(memory.last.params) if memory.last else None,
    }
