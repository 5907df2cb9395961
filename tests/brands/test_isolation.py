"""Brands apart: no record and no token of one brand ever reaches another's address or key, whatever goes wrong."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from pytest_django import Settings as HostSettings

from tests.houses import NAMES, Houses, host_of, open_houses, token_of
from tests.ledger.models import Payment
from tests.rows import overdue
from track360_django import activities, customers, daily, delivery, reconcile
from track360_django.api.payloads import CUSTOMERS_PATH
from track360_django.delivery import api_client, breaker
from track360_django.models import Activity, Customer, Endpoint, Status
from track360_django.operations import status
from track360_django.sandbox.store import fingerprint

pytestmark = pytest.mark.django_db

MONEY: dict[str, Any] = {"value": 5, "currency": "USD"}
DAY = date(2025, 7, 21)


@pytest.fixture(params=[False, True], ids=["own-address", "one-address"])
def houses(request: pytest.FixtureRequest, settings: HostSettings) -> Iterator[Houses]:
    """Open three brands, each at an address of its own or all at one; afterwards nobody may have heard of another."""
    with open_houses(settings, is_shared=request.param) as opened:
        yield opened
        assert_apart(opened)


@pytest.fixture
def apart(settings: HostSettings) -> Iterator[Houses]:
    """Open three brands, each at an address of its own."""
    with open_houses(settings) as opened:
        yield opened
        assert_apart(opened)


@pytest.fixture
def members() -> dict[str, list[str]]:
    """Return ids of users by brand: one of each brand alone, and one who is a customer of red and of blue."""
    both = User.objects.create(username="both")
    alone = {name: User.objects.create(username=name) for name in NAMES}
    for name in NAMES:
        customers.report(alone[name], brand=name, tracking={"tracking_data": f"link-of-{name}"})
    for name in ("red", "blue"):
        customers.report(both, brand=name, tracking={"tracking_data": f"link-of-{name}"})
    shared = {"red": [str(both.pk)], "blue": [str(both.pk)], "green": []}
    return {name: sorted([str(alone[name].pk), *shared[name]]) for name in NAMES}


def assert_apart(houses: Houses) -> None:
    """Check what each address got: its own tokens, customers with its own attribution, and events of its own."""
    for name in NAMES:
        others = {token_of(each) for each in NAMES if houses.sandboxes[each] is not houses.sandboxes[name]}
        seen = houses.tokens_seen(name)
        assert not {each for each in seen if token_of(each) in others}, seen
        for customer in houses.customers(name).values():
            assert customer.get("tracking_data", f"link-of-{name}") == f"link-of-{name}"
        assert all(eventid.startswith((name, "DailyStats-")) for eventid in houses.events(name))


def bet_each(members: Mapping[str, list[str]], count: int = 2) -> dict[str, list[str]]:
    """Report bets of all customers; return their ids by brand."""
    wanted: dict[str, list[str]] = {}
    for name in NAMES:
        ids = [f"{name}-{customer}-{number}" for customer in members[name] for number in range(count)]
        rows = [
            {
                "eventname": "Bet",
                "customer": Customer.objects.get(brand=name, customer_id=eventid.split("-")[1]),
                "eventid": eventid,
                **MONEY,
            }
            for eventid in ids
        ]
        activities.report_many(rows)
        wanted[name] = sorted(ids)
    return wanted


def arrived(houses: Houses) -> dict[str, list[str]]:
    """Return the events that arrived, by brand."""
    return {name: sorted(houses.events(name)) for name in NAMES}


def known(houses: Houses) -> dict[str, list[str]]:
    """Return the customers that arrived, by brand."""
    return {name: sorted(houses.customers(name)) for name in NAMES}


def refuse_all(houses: Houses, **fault: Any) -> None:
    """Let each address fail from now on."""
    for sandbox in {id(each): each for each in houses.sandboxes.values()}.values():
        sandbox.fail(**fault)


def heal(houses: Houses) -> None:
    """Let each address work again, and what waits be due."""
    for sandbox in houses.sandboxes.values():
        sandbox.heal()
    for endpoint in Endpoint.objects.exclude(paused_until=None):
        breaker.resume(Endpoint.objects.filter(pk=endpoint.pk))
    overdue(Customer)
    overdue(Activity)


def test_same_user_in_two_brands_is_two_customers(houses: Houses, members: dict[str, list[str]]) -> None:
    """Each brand gets its own customers and activities, with its own attribution, under its own key."""
    wanted = bet_each(members)

    delivery.drain()

    assert known(houses) == members
    assert arrived(houses) == wanted


@pytest.mark.parametrize("fault", [{"status": 503}, {"ending": "reset"}, {"status": 429}], ids=str)
def test_retries_go_where_the_first_attempt_went(
    houses: Houses, members: dict[str, list[str]], fault: dict[str, Any]
) -> None:
    """Whatever failed before, the next attempt has the same key and address."""
    wanted = bet_each(members)
    refuse_all(houses, **fault)
    delivery.drain()

    heal(houses)
    delivery.drain()

    assert known(houses) == members
    assert arrived(houses) == wanted


def test_requeued_and_replayed_records_stay_apart(apart: Houses, members: dict[str, list[str]]) -> None:
    """What a person sends again goes to its own brand, all of it or one brand's."""
    wanted = bet_each(members)
    delivery.drain()
    Activity.objects.filter(brand="blue").update(status=Status.DEAD, due_at=None, reason="http_400")
    before = {name: apart.requests(name) for name in NAMES}

    call_command("track360", "requeue", "--all", "--brand", "blue")
    call_command("track360", "replay", "--since", "1d", "--until", "0h", "--brand", "green")
    delivery.drain()

    assert arrived(apart) == wanted
    assert apart.requests("red") == before["red"]
    assert Activity.objects.exclude(status=Status.DELIVERED).count() == 0


class Paid(activities.ModelActivity):
    """A payment, whose status says the brand here."""

    eventname = "Paid"
    value, currency, brand = "amount", "currency", "status"

    @staticmethod
    def get_customer(row: Payment) -> User:
        """Return the user."""
        return User.objects.get(pk=row.player)

    @staticmethod
    def get_eventid(row: Payment) -> str:
        """Return an id that shows its brand."""
        return f"{row.status}-{row.pk}"


def test_reconciled_rows_stay_apart(
    apart: Houses, members: dict[str, list[str]], declare: Callable[..., None]
) -> None:
    """Rows that nobody announced are reported to the brand that their declaration names."""
    declare(Paid)
    payments = Payment.objects.bulk_create(
        [Payment(player=customer, amount=5, status=name) for name in NAMES for customer in members[name]]
    )

    found = reconcile.run(since=datetime.now(UTC) - timedelta(days=1))
    delivery.drain()

    assert (sum(gap.reported for gap in found.gaps), found.problems()) == (len(payments), [])
    assert arrived(apart) == {
        name: sorted(f"{name}-{each.pk}" for each in payments if each.status == name) for name in NAMES
    }


class PlayerDay(activities.DailyActivity):
    """A day of each brand's players."""

    eventname = "DailyStats"
    members: Mapping[str, list[str]] = {}

    def rows(self, day: date) -> list[dict[str, Any]]:  # noqa: ARG002  each day is the same
        """Return a row for each customer of each brand; a user of two has one of each."""
        return [
            {"brand": name, "customer": User.objects.get(pk=customer), "currency": "USD", "GGR": 1 + number}
            for number, name in enumerate(NAMES)
            for customer in self.members[name]
        ]


@pytest.fixture
def player_day(members: dict[str, list[str]]) -> Iterator[activities.DailyActivity]:
    """Declare a day's total for one test."""
    PlayerDay.members = members
    activities.register_daily(PlayerDay)
    yield next(each for each in activities.daily_declarations() if isinstance(each, PlayerDay))
    activities.unregister_daily(PlayerDay)


def test_days_totals_stay_apart(
    apart: Houses, members: dict[str, list[str]], player_day: activities.DailyActivity
) -> None:
    """Rows that name their brand are added up by brand, and the same user has a total at each."""
    daily.report_day(player_day, DAY)
    delivery.drain()

    for number, name in enumerate(NAMES):
        records = apart.records(name)
        assert sorted(str(record["customerid"]) for record in records) == members[name]
        assert {record["GGR"] for record in records} == {str(1 + number)}
        assert apart.tokens_seen(name) == {name}
    assert daily.report_day(player_day, DAY).counts["unchanged"] == Activity.objects.count()


def test_imports_stay_apart(apart: Houses, tmp_path: Path) -> None:
    """A file is its brand's, though the same ids are another brand's customers."""
    for name in ("red", "blue"):
        lines = [{"customerId": f"p-{number}", "tracking_data": f"link-of-{name}"} for number in range(3)]
        path = tmp_path / f"{name}.jsonl"
        path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
        call_command("track360", "import", str(path), "--brand", name)
        bets = [
            {"eventname": "Bet", "customerid": "p-1", "eventid": f"{name}-1", "Value": "5", "Currency": "USD"}
        ]
        path = tmp_path / f"{name}-bets.jsonl"
        path.write_text("".join(f"{json.dumps(bet)}\n" for bet in bets))
        call_command("track360", "import", str(path), "--brand", name)

    delivery.drain()

    assert known(apart) == {"red": ["p-0", "p-1", "p-2"], "blue": ["p-0", "p-1", "p-2"], "green": []}
    assert arrived(apart) == {"red": ["red-1"], "blue": ["blue-1"], "green": []}


# Settings that change.


@pytest.mark.parametrize("how", ["removed", "renamed"])
def test_brand_that_is_gone_waits_and_is_seen(
    houses: Houses, members: dict[str, list[str]], how: str
) -> None:
    """Its records go to nobody, though all brands have a key in common; they go out once it is back."""
    wanted = bet_each(members)
    before = houses.settings.TRACK360["BRANDS"]
    names = {"blue": "azure"} if how == "renamed" else {}
    left = {names.get(name, name): own for name, own in before.items() if name != "blue" or names}
    common = {"BASE_URL": houses.sandboxes["red"].url, "BRAND_TOKEN": token_of("red")}
    houses.configure(BRANDS=left, **common)

    delivery.drain()
    overdue(Activity)

    assert houses.customers("blue") == {}
    assert arrived(houses) == {**wanted, "blue": []}
    Customer.objects.filter(brand="blue").update(due_at=datetime.now(UTC) - timedelta(hours=1))
    lost = next(each for each in status.read(using="default") if each.brand == "blue")
    assert not lost.is_delivered
    assert any("missing in TRACK360['BRANDS']" in problem for problem in lost.problems())

    houses.configure(BRANDS=before)
    overdue(Customer)
    delivery.drain()

    assert known(houses) == members
    assert arrived(houses) == wanted


def test_brand_that_goes_while_it_is_delivered_takes_no_other_key(apart: Houses) -> None:
    """A worker that holds a lane of a brand which is not configured any more has no key to send it with."""
    apart.configure(BASE_URL=apart.sandboxes["red"].url, BRAND_TOKEN=token_of("red"))

    answer = api_client.of("black").post(CUSTOMERS_PATH, ["{}"])

    assert (answer.verdict.name, answer.reason) == ("PAUSE", "misconfigured")
    assert apart.requests("red") == 0


def test_brand_that_is_off_waits(apart: Houses, members: dict[str, list[str]]) -> None:
    """With ENABLED off nothing of the brand is sent, and all of it afterwards."""
    apart.change("blue", ENABLED=False)
    wanted = bet_each(members)

    delivery.drain()

    assert known(apart) == {**members, "blue": []}
    apart.change("blue", ENABLED=True)
    delivery.drain()
    assert known(apart) == members
    assert arrived(apart) == wanted


def test_swapped_tokens_pause_and_lose_nothing(apart: Houses, members: dict[str, list[str]]) -> None:
    """Two tokens that were swapped in the settings are refused; put right, everything goes where it belongs."""
    wanted = bet_each(members)
    for name, other in (("red", "blue"), ("blue", "red")):
        apart.change(name, BRAND_TOKEN=token_of(other))

    delivery.drain()

    assert known(apart) == {"red": [], "blue": [], "green": members["green"]}
    paused = Endpoint.objects.exclude(paused_until=None).values_list("brand", "reason")
    assert set(paused) == {("red", "http_401"), ("blue", "http_401")}
    assert not Customer.objects.filter(status=Status.DEAD).exists()

    for name in ("red", "blue"):
        apart.change(name, BRAND_TOKEN=token_of(name))
        # What was refused is no part of what follows.
        apart.sandboxes[name].store.log.clear()
    heal(apart)
    delivery.drain()

    assert known(apart) == members
    assert arrived(apart) == wanted


def test_new_token_is_used_with_the_next_request(apart: Houses) -> None:
    """A key that was replaced while the process runs is never sent again, over whatever connection."""
    old = api_client.of("red")
    old.post(CUSTOMERS_PATH, ['{"customerId": "1"}'])
    apart.change("red", BRAND_TOKEN="token-of-nobody")

    answer = api_client.of("red").post(CUSTOMERS_PATH, ['{"customerId": "1"}'])

    assert api_client.of("red") is not old
    assert answer.reason == "http_401"
    seen = [entry.brand for entry in apart.sandboxes["red"].store.log.entries()]
    assert seen[-1] == fingerprint("token-of-nobody")


def test_threads_at_one_address_never_swap_keys(settings: HostSettings) -> None:
    """Clients of brands that share an address keep their keys apart, however many threads use them at once."""
    with open_houses(settings, is_shared=True) as houses:
        barrier = threading.Barrier(6)
        answers: list[str] = []

        def work(number: int) -> None:
            barrier.wait()
            for turn in range(15):
                name = NAMES[(number + turn) % 3]
                body = json.dumps({"customerId": f"{name}-{number}-{turn}"})
                answers.append(api_client.of(name).post(CUSTOMERS_PATH, [body]).verdict.name)
            for name in NAMES:
                api_client.of(name).close()

        threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert set(answers) == {"ACCEPTED"}
        for name in NAMES:
            assert len(houses.customers(name)) == 30
            assert {customer.split("-")[0] for customer in houses.customers(name)} == {name}


@pytest.mark.django_db(transaction=True)
def test_workers_at_once_keep_brands_apart(houses: Houses, members: dict[str, list[str]]) -> None:
    """Several workers share the lanes of all brands, and each record goes out once, to its own."""
    if connection.vendor != "postgresql":
        pytest.skip("needs several writers at once: run with --database=postgres")
    wanted = bet_each(members, count=40)
    houses.configure(BATCH_SIZE=3)
    errors: list[Exception] = []

    def work() -> None:
        try:
            delivery.drain()
        except Exception as error:  # noqa: BLE001  told by the test
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    delivery.drain()

    assert errors == []
    assert known(houses) == members
    assert arrived(houses) == wanted


def test_command_names_a_brand_that_is_there(apart: Houses) -> None:
    """A misspelt brand is told, and not taken for one without records."""
    for command in (
        ["replay", "--since", "1d", "--until", "0h"],
        ["requeue", "--all"],
        ["resume"],
        ["status"],
        ["deliver"],
    ):
        with pytest.raises(CommandError, match="red, blue, green"):
            call_command("track360", *command, "--brand", "bleu")


def test_landing_at_each_host_keeps_its_own_visitors(apart: Houses) -> None:
    """Signups on three hosts end up with three brands, each with the link that was followed there."""
    for name in NAMES:
        client = Client(headers=host_of(name))
        client.get(f"/host/page/?tracking_data=link-of-{name}")
        client.post("/host/join/", {"username": f"{name}-player"})

    delivery.drain()

    assert {name: [each["tracking_data"] for each in apart.customers(name).values()] for name in NAMES} == {
        name: [f"link-of-{name}"] for name in NAMES
    }
