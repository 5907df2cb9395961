"""The example project's declarations: what each reports, through the pages and the admin that people use."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db.models import Model
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings as HostSettings

from example_project.cashier import provider
from example_project.cashier.models import Account, Bonus, Deposit, Withdrawal
from example_project.games.models import Bet
from example_project.games.products import Product
from example_project.games.track360 import CustomerDay
from track360_django import activities, conf, daily
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
    model = Deposit if kind == "deposits" else Withdrawal
    return model._base_manager.latest("pk")


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
    made: Bonus = Bonus.objects.latest("pk")
    return made


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
    assert ["Revoked: 2" in pages[0], "Revoked: 0" in pages[1]] == [True, True]
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


def test_bonuses_of_a_campaign_are_reported(alex: User) -> None:
    """Bonuses that are granted in one statement are reported like any other."""
    owners = [account(alex, currency) for currency in ("USD", "EUR", "BHD")]

    Bonus.objects.bulk_create(Bonus(account=owner, product=Product.BINGO, amount=5) for owner in owners)

    assert [(body["Value"], body["Currency"]) for body in reported()] == [
        ("5.00", "USD"),
        ("5.00", "EUR"),
        ("5.000", "BHD"),
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
    assert (bet.account, bet.product, bet.stake) == (account(alex, "EUR"), "Casino", Decimal(5))
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


# A day's totals.

DAY = date(2025, 7, 21)
NOON = datetime(2025, 7, 21, 12, tzinfo=UTC)
LATER = NOON + timedelta(days=2)


def bet(owner: Account, stake: str, win: str, product: str = "Casino", **times: datetime) -> Bet:
    """Save a bet that was settled at noon, if nothing else is said."""
    return Bet.objects.create(
        account=owner,
        product=product,
        stake=Decimal(stake),
        win=Decimal(win),
        status=Bet.Status.SETTLED,
        placed_at=NOON - timedelta(hours=1),
        **{"settled_at": NOON, **times},
    )


def bonus(owner: Account, amount: str, product: str = "Casino", **times: datetime) -> Bonus:
    """Save a bonus that was granted at noon, if nothing else is said."""
    times = {"granted_at": NOON, **times}
    made: Bonus = Bonus.objects.create(account=owner, product=product, amount=Decimal(amount), **times)
    return made


def day_of(day: date = DAY) -> list[dict[str, Any]]:
    """Compile a day with the command; return its totals, ordered by currency and product."""
    call_command("track360", "daily", "--date", day.isoformat(), stdout=StringIO())
    of_the_day = (body for body in reported() if body["createtime"] == day.isoformat())
    return sorted(of_the_day, key=lambda body: (body["Currency"], body["product"]))


def kpis(body: dict[str, Any]) -> tuple[str, ...]:
    """Return the four numbers of a day's total."""
    return tuple(body[name] for name in ("GGR", "NGR", "Bets", "Games"))


@pytest.mark.parametrize(
    ("currency", "stakes", "bonus_amount", "expected"),
    [
        ("USD", ("500", "50"), "5", ("50.00", "45.00", "550.00", "2")),
        ("EUR", ("0.10", "0.20"), "0.01", ("-499.70", "-499.71", "0.30", "2")),
        ("JPY", ("500", "50"), "5", ("50", "45", "550", "2")),
        ("BHD", ("500.125", "49.876"), "5.001", ("50.001", "45.000", "550.001", "2")),
    ],
)
def test_day_is_told_as_daily_stats(
    alex: User, currency: str, stakes: tuple[str, str], bonus_amount: str, expected: tuple[str, ...]
) -> None:
    """GGR is stakes minus wins, NGR is GGR minus bonuses; Bets is the sum of stakes, Games their number."""
    bet(account(alex, currency), stakes[0], "500")
    bet(account(alex, currency), stakes[1], "0")
    bonus(account(alex, currency), bonus_amount)
    Activity.objects.all().delete()

    (told,) = day_of()

    assert told.pop("eventid")
    assert told == {
        "eventname": "DailyStats",
        "createtime": "2025-07-21",
        "customerid": str(alex.pk),
        "product": "Casino",
        **dict(zip(("GGR", "NGR", "Bets", "Games"), expected, strict=True)),
        "Currency": currency,
    }


def test_products_and_currencies_are_told_apart(alex: User) -> None:
    """Each product line and each currency of a customer has a total of its own."""
    for product in Product:
        bet(account(alex), "10", "4", product)
    bet(account(alex, "EUR"), "10", "4", Product.SPORTS)

    assert [(body["Currency"], body["product"], *kpis(body)) for body in day_of()] == [
        ("EUR", "Sports", "6.00", "6.00", "10.00", "1"),
        ("USD", "Bingo", "6.00", "6.00", "10.00", "1"),
        ("USD", "Casino", "6.00", "6.00", "10.00", "1"),
        ("USD", "Poker", "6.00", "6.00", "10.00", "1"),
        ("USD", "Sports", "6.00", "6.00", "10.00", "1"),
    ]


def test_sums_are_exact(alex: User) -> None:
    """A thousand stakes of a tenth are a hundred, also where the database keeps decimals as floats."""
    Bet.objects.bulk_create(
        Bet(account=account(alex), product="Casino", stake=Decimal("0.10"), status="settled", settled_at=NOON)
        for _ in range(1000)
    )

    assert [kpis(body) for body in day_of()] == [("100.00", "100.00", "100.00", "1000")]


def test_largest_amounts_are_exact(alex: User) -> None:
    """Amounts that fill the column to the last digit are added up to the last digit."""
    bet(account(alex, "BHD"), "999999999999.999", "0")
    bet(account(alex, "BHD"), "999999999999.998", "0.001")

    assert [kpis(body)[::2] for body in day_of()] == [("1999999999999.996", "1999999999999.997")]


def test_open_bet_is_no_revenue_yet(alex: User, browser: Client, admin_client: Client) -> None:
    """A bet that is open, or was voided before it was settled, is in no day's total."""
    for _ in range(2):
        browser.post(reverse("games:table", args=["Casino"]), {"stake": "5"})
    act(admin_client, "void", [Bet.objects.latest("pk")])

    assert Bet.objects.count() == 2
    assert list(daily.compile_day(CustomerDay(), timezone.now().date())) == []


def test_bet_that_staff_settle_counts_with_the_win_of_its_row(
    alex: User, browser: Client, admin_client: Client
) -> None:
    """Staff enter a win, then settle; the day of the settlement tells it."""
    browser.post(reverse("games:table", args=["Sports"]), {"stake": "20"})
    made = Bet.objects.get()
    form = {"account": made.account.pk, "product": "Sports", "stake": "20", "win": "12.50"}
    admin_client.post(reverse("admin:games_bet_change", args=[made.pk]), form)

    page = act(admin_client, "settle", [made])

    Bet.objects.update(settled_at=NOON)
    assert "Settled: 1" in page
    assert [kpis(body) for body in day_of()] == [("7.50", "7.50", "20.00", "1")]


def test_bet_that_is_voided_later_is_taken_from_the_day_of_the_void(alex: User, admin_client: Client) -> None:
    """The day that is over stays as it was told; what the bet brought is taken back when it is voided."""
    made = bet(account(alex), "10", "4")
    before = day_of()

    act(admin_client, "void", [made])

    Bet.objects.update(voided_at=LATER)
    assert day_of() == before
    assert [kpis(body) for body in day_of(LATER.date())] == [("-6.00", "-6.00", "-10.00", "-1")]


def test_bet_that_is_settled_and_voided_on_one_day_is_nothing(alex: User) -> None:
    """A day that comes to nothing is not told."""
    bet(account(alex), "10", "4", voided_at=NOON)

    assert day_of() == []


def test_bonus_that_is_revoked_later_is_given_back_to_the_day_of_the_revocation(
    alex: User, admin_client: Client
) -> None:
    """A bonus lowers the NGR of its day, even if nobody bet, and raises it on the day it is taken back."""
    made = bonus(account(alex, "EUR"), "10", Product.BINGO)
    before = day_of()

    act(admin_client, "revoke", [made])

    Bonus.objects.update(revoked_at=LATER)
    assert [kpis(body) for body in before] == [("0.00", "-10.00", "0.00", "0")]
    assert day_of() == before
    assert [kpis(body) for body in day_of(LATER.date())] == [("0.00", "10.00", "0.00", "0")]


def test_day_begins_and_ends_in_the_agreed_zone(alex: User, settings: HostSettings) -> None:
    """Where midnight of Malta divides two days, a bet of 22:30 UTC belongs to the second one."""
    settings.TRACK360 = {**settings.TRACK360, "TIME_ZONE": "Europe/Malta"}
    for hour, minutes in ((21, 59), (22, 0), (22, 30)):
        bet(account(alex), "10", "0", settled_at=NOON.replace(hour=hour, minute=minutes))

    days = [day_of(day) for day in (DAY, DAY + timedelta(days=1))]

    assert [[kpis(body)[-1] for body in day] for day in days] == [["1"], ["2"]]


def test_late_result_restates_its_day_and_no_other_total(alex: User, settings: HostSettings) -> None:
    """A bet whose result comes late belongs to the day of its settlement: that product's total is told again."""
    settings.TRACK360 = {**settings.TRACK360, "CORRECTIONS": "resend"}
    for product in (Product.CASINO, Product.SPORTS):
        bet(account(alex), "10", "4", product)
    before = {body["eventid"]: kpis(body) for body in day_of()}

    bet(account(alex), "5", "0", Product.SPORTS)

    after = {body["eventid"]: kpis(body) for body in day_of()}
    assert before.keys() == after.keys()
    assert [after[key] for key in after if after[key] != before[key]] == [("11.00", "11.00", "15.00", "2")]


def test_no_kpi_is_reported_in_both_ways() -> None:
    """What is told per event is not told per day; and every name is one that was agreed."""
    per_event = {each.eventname for each in activities.declarations()}
    (customer_day,) = activities.daily_declarations()
    reversals = {each.on_reverse for each in activities.declarations()} - {"negative"}

    assert per_event.isdisjoint(customer_day.kpis)
    assert per_event | reversals | {customer_day.eventname} == {*conf.settings.EVENTS}


# What nobody announced.


def test_rows_that_no_signal_announced_are_found(alex: User, browser: Client) -> None:
    """Money that moved by `update()` is found by the reconciliation, with the ids and amounts of the signals."""
    made = [pay(browser, kind, "12.5", "EUR") for kind in ("deposits", "withdrawals")]
    for payment in made:
        rows = type(payment)._base_manager.filter(pk=payment.pk)
        rows.update(status="completed", completed_at=timezone.now())
    Bonus._base_manager.bulk_create([Bonus(account=account(alex), product=Product.CASINO, amount=5)])
    before = reported()

    for _ in range(2):
        call_command("track360", "reconcile", "--since", "7d", stdout=StringIO())

    assert before == []
    assert sorted((each["eventname"], each["eventid"], each["Value"]) for each in reported()) == [
        ("Bonus", Bonus.objects.get().reference, "5.00"),
        ("Deposit", made[0].reference, "12.50"),
        ("Withdrawal", made[1].reference, "12.50"),
    ]


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
