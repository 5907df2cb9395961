"""Django alone: its own form in a view of the host's."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path

from tests.sources.host import PASSWORD, Host
from tests.sources.visitor import Visitor, succeed


def join(request: HttpRequest) -> HttpResponse:
    """Sign somebody up."""
    from django.contrib.auth import login
    from django.contrib.auth.forms import UserCreationForm

    form: Any = UserCreationForm(request.POST or None)
    if form.is_valid():
        login(request, form.save())
        return redirect("home")
    return render(request, "form.html", {"form": form})


class Site(Host):
    """A host without an auth package: the safety net."""

    def urls(self) -> list[Any]:
        """Return the one view."""
        return [path("join/", join)]

    def sign_up(self, visitor: Visitor, name: str) -> None:
        """Fill Django's form."""
        succeed(visitor.submit("/join/", username=name, password1=PASSWORD, password2=PASSWORD))

    def refuse(self, visitor: Visitor, name: str) -> None:
        """Repeat the password wrongly."""
        assert "errorlist" in visitor.submit("/join/", username=name, password1=PASSWORD, password2="x").text
