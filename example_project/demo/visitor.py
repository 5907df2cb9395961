"""Who comes to the site: visitors with their browsers, and the payment provider with a program."""

from __future__ import annotations

import re
from typing import Final

from django.utils.crypto import get_random_string

from example_project.cashier import provider
from example_project.demo.browser import Browser, Client, Exchange

# An existing database may know an alex already.
SUFFIX: Final = get_random_string(4, "abcdefghjkmnpqrstuvwxyz23456789")

PLAY: Final = re.compile(r"/games/bets/[^/]+/play/")


class Visitor:
    """One person on the site, who may become a customer."""

    def __init__(self, site: str, name: str) -> None:
        self.name = name
        self.username = f"{name}-{SUFFIX}"
        self._browser = Browser(site)

    def land(self, tracking_data: str) -> Exchange:
        """Follow a link of Track360 to the site."""
        return self._browser.open(f"/?tracking_data={tracking_data}")

    def look_at(self, path: str) -> Exchange:
        """Open another page."""
        return self._browser.open(path)

    def sign_up(self) -> Exchange:
        """Fill in the site's own form, which is Django's."""
        person = {"first_name": self.name.title(), "last_name": "Taylor", "country": "US"}
        return self._browser.submit("/signup/", **self._credentials(), **person)

    def sign_up_twice(self) -> tuple[Exchange, Exchange]:
        """Fill in django-allauth's form, and send it twice."""
        email = f"{self.username}@example.com"
        return self._browser.submit_twice("/accounts/signup/", **self._credentials(), email=email)

    def deposit(self, amount: str) -> tuple[Exchange, str]:
        """Pay in; the second value is the reference of the deposit, which is pending."""
        return self._pay("deposits", amount)

    def withdraw(self, amount: str) -> tuple[Exchange, str]:
        """Ask to be paid out; the second value is the reference of the withdrawal, which is pending."""
        return self._pay("withdrawals", amount)

    def bet(self, product: str, stake: str) -> Exchange:
        """Place a bet, and play what is open."""
        table = f"/games/{product}/"
        self._browser.submit(table, stake=stake)
        found = PLAY.search(self._browser.open(table).text)
        return self._browser.submit(table, to=found[0] if found else table)

    def _pay(self, kind: str, amount: str) -> tuple[Exchange, str]:
        answer = self._browser.submit(f"/cashier/{kind}/", amount=amount, method="card")
        return answer, answer.location.rstrip("/").rpartition("/")[2]

    def _credentials(self) -> dict[str, str]:
        password = get_random_string(16)
        return {"username": self.username, "password1": password, "password2": password}


class PaymentProvider:
    """Who tells the brand that money arrived."""

    def __init__(self, site: str) -> None:
        self._client = Client(site)

    def complete(self, reference: str, kind: str = "deposits") -> Exchange:
        """Say that the money of one payment arrived."""
        return self._say(kind, reference, "complete")

    def reverse(self, reference: str, kind: str = "deposits") -> Exchange:
        """Say that the money of one payment went back."""
        return self._say(kind, reference, "reverse")

    def _say(self, kind: str, reference: str, step: str) -> Exchange:
        path = f"/cashier/{kind}/{reference}/{step}/"
        return self._client.post(path, {provider.HEADER: provider.secret()})
