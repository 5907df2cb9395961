"""What a visitor of the example project does: land, look around, become a customer."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

TRACKING_DATA = "2001_1000_abcdefg"
PASSWORD = "a-long-and-unlikely-password"


def land(client: Client, tracking_data: str = TRACKING_DATA) -> None:
    """Open the landing page with tracking data, then two pages without."""
    landing = client.get("/", {"tracking_data": tracking_data})
    pages = [client.get(reverse(name)) for name in ("games", "promotions")]
    assert [page.status_code for page in (landing, *pages)] == [200, 200, 200]


def sign_up(client: Client, username: str = "alex") -> User:
    """Become a customer by Django's own form."""
    form = {"username": username, "password1": PASSWORD, "password2": PASSWORD}
    person = {"first_name": "Alex", "last_name": "Taylor", "country": "US"}
    assert client.post(reverse("signup"), {**form, **person}).status_code == 302
    return User.objects.get(username=username)


def sign_up_by_allauth(client: Client, username: str = "alex") -> User:
    """Become a customer by django-allauth's form."""
    form = {"username": username, "email": f"{username}@example.com"}
    answer = client.post(reverse("account_signup"), {**form, "password1": PASSWORD, "password2": PASSWORD})
    assert answer.status_code == 302
    return User.objects.get(username=username)
