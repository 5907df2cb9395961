"""The example project's declarations: what each reports, through the pages and the admin that people use."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db.models import Model
from django.test import Client
from django.urls import reverse
from pytest_django import Settings as HostSettings

from example_project.cashier import provider
from example_project.cashier.models import Account, Bonus, Deposit, Withdrawal
from example_project.games.models import Bet
from example_project.games.products import Product
from track360_django.models import Activity

pytestmark = pytest.mark.django_db

# What a person types, and what Track360 is told: two places, none, and three, and no digit less.
AMOUNTS = [
    pytest.param("USD", "250.00", "250.00", id="USD"),
    pytest.param("EUR", "99.9", "99.90", id="EUR"),
    pytest.param("JPY", "5000", "5000", id="JPY"),
    pytest.param("BHD", "12.345", "12.345", id="BHD"),
    pytest.param("BHD", "12.5", "12.500", id="BHD-round"),
]


@pytest.fixture
def alex(settings: HostSettings) -> User:
    """Return a customer who has an account in each of four currencies; hashing their password costs nothing."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    user = User.objects.create_user("alex")
    Account.objects.bulk_create(Account(user=user, currency=code) for code in ("USD", "EUR", "JPY", "BHD"))
    return user


@pytest.fixture
def browser(alex: User) -> Client:
    """Return the customer's browser."""
    client = Client()
    client.force_login(alex)
    return client


def account(user: User, currency: str = "USD") -> Account:
    """Return a customer's account in a currency."""
    return Account.objects.get(user=user, currency=currency)


def pay(browser: Client, kind: str, amount: str = "250.00", currency: str = "USD") -> Any:
    """Pay in (`deposits`) or ask to be paid out (`withdrawals`) on the page; the payment is pending."""
    form = {"amount": amount, "currency": currency, "method": "card"}
    answer = browser.post(reverse(f"cashier:{kind}"), form)
    assert answer.status_code == 302
    return {"deposits": Deposit, "withdrawals": Withdrawal}[kind].objects.latest("pk")


def say(payment: Deposit | Withdrawal, step: str, secret: str | None = None) -> int:
    """Call as the payment provider; return the status of the answer."""
    headers = {provider.HEADER: provider.secret() if secret is None else secret}
    return Client().post(f"{payment.get_absolute_url()}{step}/", headers=headers).status_code


def act(staff: Client, action: str, rows: Iterable[Model]) -> str:
    """Choose rows in their admin and an action for them; return the page that answers."""
    chosen = list(rows)
    address = reverse(f"admin:{chosen[0]._meta.label_lower.replace('.', '_')}_changelist")
    data = {"action": action, "_selected_action": [row.pk for row in chosen]}
    return staff.post(address, data, follow=True).content.decode()


def grant(staff: Client, owner: Account, amount: str, product: str) -> Bonus:
    """Give a bonus, by the form of the admin."""
    answer = staff.post(
        reverse("admin:cashier_bonus_add"), {"account": owner.pk, "amount": amount, "product": product}
    )
    assert answer.status_code == 302
    return Bonus.objects.latest("pk")


def reported() -> list[dict[str, Any]]:
    """Return the JSON objects that Track360 will be sent, oldest first."""
    return [json.loads(activity.body) for activity in Activity.objects.order_by("pk")]


def minute(moment: datetime | None) -> str:
    """Return a time as it is on the wire."""
    return f"{moment:%Y-%m-%d %H:%M}"


# Deposits and withdrawals.


@pytest.mark.parametrize(("currency", "typed", "value"), AMOUNTS)
def test_deposit_is_reported_when_its_money_arrives(
    alex: User, browser: Client, currency: str, typed: str, value: str
) -> None:
    """A pending deposit is nothing; a completed one is reported with the minor units of its currency."""
    made = pay(browser, "deposits", typed, currency)
    before = reported()

    statuses = [say(made, "complete"), say(made, "complete")]

    made.refresh_from_db()
    assert before == []
    assert statuses == [200, 200]
    assert reported() == [
        {
            "eventname": "Deposit",
            "eventid": made.reference,
            "createtime": minute(made.completed_at),
            "customerid": str(alex.pk),
            "Value": value,
            "depositType": "card",
            "Currency": currency,
        }
    ]


@pytest.mark.parametrize(("currency", "typed", "value"), AMOUNTS)
def test_withdrawal_is_reported_when_its_money_left(
    alex: User, browser: Client, currency: str, typed: str, value: str
) -> None:
    """A withdrawal that is asked for is nothing; a completed one is reported."""
    made = pay(browser, "withdrawals", typed, currency)
    before = reported()

    status = say(made, "complete")

    made.refresh_from_db()
    assert before == []
    assert status == 200
    assert reported() == [
        {
            "eventname": "Withdrawal",
            "eventid": made.reference,
            "createtime": minute(made.completed_at),
            "customerid": str(alex.pk),
            "Value": value,
            "withdrawalType": "card",
            "Currency": currency,
        }
    ]


@pytest.mark.parametrize(("currency", "typed", "value"), AMOUNTS)
def test_deposit_that_is_charged_back_is_a_chargeback(
    alex: User, browser: Client, currency: str, typed: str, value: str
) -> None:
    """A chargeback is a KPI of its own, with the whole amount; told twice it is reported once."""
    made = pay(browser, "deposits", typed, currency)

    for step in ("complete", "reverse", "reverse"):
        assert say(made, step) == 200

    made.refresh_from_db()
    assert reported()[1:] == [
        {
            "eventname": "Chargeback",
            "eventid": f"{made.reference}-reversal",
            "createtime": minute(made.reversed_at),
            "customerid": str(alex.pk),
            "Value": value,
            "depositType": "card",
            "Currency": currency,
        }
    ]


@pytest.mark.parametrize(("currency", "typed", "value"), AMOUNTS)
def test_withdrawal_that_came_back_is_reported_with_the_other_sign(
    alex: User, browser: Client, currency: str, typed: str, value: str
) -> None:
    """A payout that the bank sent back takes the reported one away again, under an id of its own."""
    made = pay(browser, "withdrawals", typed, currency)

    for step in ("complete", "reverse", "reverse"):
        assert say(made, step) == 200

    made.refresh_from_db()
    assert reported()[1:] == [
        {
            "eventname": "Withdrawal",
            "eventid": f"{made.reference}-reversal",
            "createtime": minute(made.reversed_at),
            "customerid": str(alex.pk),
            "Value": f"-{value}",
            "withdrawalType": "card",
            "Currency": currency,
        }
    ]


@pytest.mark.parametrize("kind", ["deposits", "withdrawals"])
def test_failed_payment_is_not_reported(browser: Client, kind: str) -> None:
    """Money that never moved is nothing, even if the provider says later that it did, or that it went back."""
    made = pay(browser, kind)

    statuses = [say(made, step) for step in ("fail", "complete", "reverse")]

    made.refresh_from_db()
    assert statuses == [200, 200, 200]
    assert made.status == "failed"
    assert reported() == []


@pytest.mark.parametrize("kind", ["deposits", "withdrawals"])
def test_pending_payment_cannot_be_reversed(browser: Client, kind: str) -> None:
    """Only money that moved can go back."""
    made = pay(browser, kind)

    say(made, "reverse")

    made.refresh_from_db()
    assert made.status == "pending"
    assert reported() == []


@pytest.mark.parametrize("kind", ["deposits", "withdrawals"])
@pytest.mark.parametrize("step", ["complete", "fail", "reverse"])
def test_step_without_the_secret_changes_nothing(browser: Client, kind: str, step: str) -> None:
    """Only the payment provider says what became of a payment."""
    made = pay(browser, kind)

    assert say(made, step, secret="wrong") == 403

    made.refresh_from_db()
    assert made.status == "pending"
    assert reported() == []


def test_step_that_there_is_not_is_not_found(browser: Client) -> None:
    """The provider can say three things."""
    assert say(pay(browser, "deposits"), "double") == 404


@pytest.mark.parametrize(
    ("currency", "amount"),
    [("USD", "0.999"), ("USD", "1.005"), ("JPY", "1.5"), ("BHD", "1.2345"), ("GBP", "5"), ("EUR", "0")],
)
@pytest.mark.parametrize("kind", ["deposits", "withdrawals"])
def test_amount_that_nobody_can_pay_is_refused(
    browser: Client, kind: str, currency: str, amount: str
) -> None:
    """No half yen, no tenth of a cent, and no currency without an account that the site does not offer."""
    form = {"amount": amount, "currency": currency, "method": "card"}

    answer = browser.post(reverse(f"cashier:{kind}"), form)

    assert answer.status_code == 200
    assert not Deposit.objects.exists()
    assert not Withdrawal.objects.exists()


def test_first_deposit_opens_the_account(settings: HostSettings) -> None:
    """A new customer chooses between the currencies of the site; without a choice it is the first."""
    client = Client()
    client.force_login(User.objects.create(username="bo"))

    made = [pay(client, "deposits", "5", currency) for currency in ("EUR", "", "EUR")]

    assert [deposit.account.currency for deposit in made] == ["EUR", "USD", "EUR"]
    assert Account.objects.count() == 2


@pytest.mark.parametrize("kind", ["deposits", "withdrawals"])
def test_payment_is_shown_to_its_customer_alone(browser: Client, kind: str) -> None:
    """Lists and pages show one's own payments, as a person writes amounts."""
    made = pay(browser, kind, "250", "JPY")
    stranger = Client()
    stranger.force_login(User.objects.create(username="bo"))
    places = [reverse(f"cashier:{kind}"), made.get_absolute_url()]

    own, other = ([client.get(place) for place in places] for client in (browser, stranger))

    assert all("250 JPY" in page.content.decode() for page in own)
    assert [page.status_code for page in other] == [200, 404]
    assert made.reference not in other[0].content.decode()


# Staff.


@pytest.mark.parametrize(
    ("kind", "eventname"), [("deposits", "Deposit"), ("withdrawals", "Withdrawal")], ids=["in", "out"]
)
def test_payments_that_staff_complete_together_are_reported(
    browser: Client, admin_client: Client, kind: str, eventname: str
) -> None:
    """An action of the admin on several rows reports each of those it changed, and no other."""
    made = [pay(browser, kind, str(amount)) for amount in (10, 20, 30, 40)]
    say(made[3], "fail")

    page = act(admin_client, "complete", made)

    assert "Completed: 4" in page
    assert sorted((each["eventname"], each["Value"]) for each in reported()) == [
        (eventname, "10.00"),
        (eventname, "20.00"),
        (eventname, "30.00"),
    ]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("deposits", [("Chargeback", "10.00"), ("Chargeback", "20.00")]),
        ("withdrawals", [("Withdrawal", "-10.00"), ("Withdrawal", "-20.00")]),
    ],
    ids=["in", "out"],
)
def test_payments_that_staff_reverse_together_are_reported(
    browser: Client, admin_client: Client, kind: str, expected: list[tuple[str, str]]
) -> None:
    """An action of the admin reverses those that are completed, and leaves the pending one alone."""
    made = [pay(browser, kind, str(amount)) for amount in (10, 20, 30)]
    act(admin_client, "complete", made[:2])

    page = act(admin_client, "reverse", made)

    assert "Reversed: 3" in page
    assert sorted((each["eventname"], each["Value"]) for each in reported()[2:]) == sorted(expected)


@pytest.mark.parametrize("kind", ["deposits", "withdrawals"])
def test_payments_that_staff_fail_together_are_not_reported(
    browser: Client, admin_client: Client, kind: str
) -> None:
    """Failing is no KPI."""
    made = [pay(browser, kind) for _ in range(3)]

    page = act(admin_client, "fail", made)

    assert "Failed: 3" in page
    assert {row.status for row in type(made[0]).objects.all()} == {"failed"}
    assert reported() == []


# Bonuses.


@pytest.mark.parametrize(("currency", "typed", "value"), AMOUNTS)
def test_bonus_is_reported_when_it_is_granted(
    alex: User, admin_client: Client, currency: str, typed: str, value: str
) -> None:
    """A bonus carries the product line that it is for."""
    made = grant(admin_client, account(alex, currency), typed, Product.BINGO)

    assert reported() == [
        {
            "eventname": "Bonus",
            "eventid": made.reference,
            "createtime": minute(made.granted_at),
            "customerid": str(alex.pk),
            "Value": value,
            "product": "Bingo",
            "Currency": currency,
        }
    ]


def test_bonuses_that_staff_revoke_together_are_reported_with_the_other_sign(
    alex: User, admin_client: Client
) -> None:
    """What was taken back is taken from the KPI, each bonus once, with its product line."""
    made = [grant(admin_client, account(alex, code), "5", Product.POKER) for code in ("EUR", "JPY")]

    pages = [act(admin_client, "revoke", made) for _ in range(2)]

    euro, yen = Bonus.objects.order_by("pk")
    assert all("Revoked: 2" in page for page in pages)
    assert sorted(reported()[2:], key=lambda body: body["Currency"]) == [
        {
            "eventname": "Bonus",
            "eventid": f"{bonus.reference}-reversal",
            "createtime": minute(bonus.revoked_at),
            "customerid": str(alex.pk),
            "Value": value,
            "product": "Poker",
            "Currency": currency,
        }
        for bonus, value, currency in ((euro, "-5.00", "EUR"), (yen, "-5", "JPY"))
    ]


# Bets.


def test_bet_is_not_reported_one_by_one(alex: User, browser: Client, admin_client: Client) -> None:
    """A bet is placed and played on its page, and part of a day's totals alone."""
    table = reverse("games:table", args=["Casino"])

    placed = browser.post(table, {"stake": "5", "currency": "EUR"})
    bet = Bet.objects.get()
    played = browser.post(reverse("games:play", args=[bet.reference]))

    bet.refresh_from_db()
    assert (placed.status_code, played.status_code) == (302, 302)
    assert (bet.account, bet.product, bet.stake) == (account(alex, "EUR"), "Casino", 5)
    assert (bet.status, bet.settled_at is None) == ("settled", False)
    assert bet.win in {Decimal(0), Decimal(10)}
    assert "5.00 EUR" in browser.get(table).content.decode()
    assert reported() == []


def test_bet_is_played_once_and_by_its_customer(browser: Client) -> None:
    """A second play changes nothing, and a stranger finds no bet."""
    browser.post(reverse("games:table", args=["Poker"]), {"stake": "5"})
    bet = Bet.objects.get()
    stranger = Client()
    stranger.force_login(User.objects.create(username="bo"))
    address = reverse("games:play", args=[bet.reference])

    statuses = [stranger.post(address).status_code, browser.post(address).status_code]
    first = Bet.objects.get()
    browser.post(address)

    assert statuses == [404, 302]
    assert (Bet.objects.get().win, Bet.objects.get().settled_at) == (first.win, first.settled_at)


@pytest.mark.parametrize(
    ("product", "status"), [*((product.value, 200) for product in Product), ("Lottery", 404)]
)
def test_each_product_line_has_its_page(browser: Client, product: str, status: int) -> None:
    """The lobby leads to Casino, Sports, Poker and Bingo, and there is no other."""
    address = reverse("games:table", args=[product])

    assert browser.get(address).status_code == status
    assert (address in Client().get(reverse("games")).content.decode()) == (status == 200)


@pytest.mark.parametrize("stake", ["0", "0.50", "1.005", "nonsense"])
def test_stake_that_nobody_can_bet_is_refused(browser: Client, stake: str) -> None:
    """A form with a wrong stake makes no bet."""
    answer = browser.post(reverse("games:table", args=["Sports"]), {"stake": stake})

    assert answer.status_code == 200
    assert not Bet.objects.exists()


# What is no event.


def test_fixture_reports_nothing(alex: User, browser: Client, admin_client: Client, tmp_path: Path) -> None:
    """Rows that are loaded from a fixture are a copy of something, not money that moves."""
    for kind in ("deposits", "withdrawals"):
        say(pay(browser, kind), "complete")
    grant(admin_client, account(alex), "10", Product.CASINO)
    Bet.objects.create(account=account(alex), product=Product.CASINO, stake=5).settle(Decimal(0))
    fixture = tmp_path / "money.json"
    call_command("dumpdata", "cashier", "games", output=str(fixture), verbosity=0)
    for model in (Bet, Bonus, Withdrawal, Deposit):
        model._base_manager.all().delete()
    Activity.objects.all().delete()

    call_command("loaddata", str(fixture), verbosity=0)

    assert [model._base_manager.count() for model in (Deposit, Withdrawal, Bonus, Bet)] == [1, 1, 1, 1]
    assert not Activity.objects.exists()
