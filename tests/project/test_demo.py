"""`manage.py demo` as a person and as a machine run it, and the verdict it ends with."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User

from example_project.cashier.models import Account, Bonus, Deposit, Withdrawal
from example_project.demo.ledger import Accepted, Call, Ledger
from example_project.demo.verdict import DUPLICATED, LOST, OUT_OF_ORDER, PHANTOMS, Period, judge, percentile
from example_project.games.models import Bet
from track360_django.models import Activity

STORY_SECONDS = 180
LEAVE_SECONDS = 15
MARK = "TRACK360_TEST_MARK"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
EVE = NOW - timedelta(hours=1)


@contextmanager
def running_demo(directory: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run the demo without servers of this suite's; give it with the mark that its processes carry."""
    mark = uuid.uuid4().hex
    ours = {"DATABASE_URL", "CELERY_BROKER_URL"}
    environment = {name: value for name, value in os.environ.items() if name not in ours}
    environment |= {MARK: mark, "TMPDIR": str(directory), "TRACK360_BOOTSTRAP": "off"}
    process = subprocess.Popen(
        [sys.executable, "manage.py", "demo", *options],
        cwd=settings.BASE_DIR,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with process:
        try:
            yield process, mark
        finally:
            process.kill()


@contextmanager
def taken_port() -> Iterator[int]:
    """Give a port of 127.0.0.1 that somebody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield int(listener.getsockname()[1])


def processes_with(mark: str) -> list[str]:
    """Return the command lines of the processes that carry a mark in their environment."""
    wanted = f"{MARK}={mark}".encode()
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if wanted in (entry / "environ").read_bytes().split(b"\0"):
                found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode())
    return found


def read_until(process: subprocess.Popen[str], words: str) -> None:
    """Read what the demo says up to a line with these words."""
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line)
        if words in line:
            return
    pytest.fail(f"the demo never said {words!r}, but: {''.join(said)}")


@pytest.mark.standalone
def test_demo_without_a_person_ends_clean(tmp_path: Path) -> None:
    """The demo tells its story, loses and doubles nothing, ends with 0 and leaves nothing behind."""
    with running_demo(tmp_path) as (process, mark):
        said, _ = process.communicate(timeout=STORY_SECONDS)

    assert process.returncode == 0, said
    assert "lost 0, duplicated 0, out of order 0, never committed 0" in said
    assert "tracking_data 2001_1000_abcdefg" in said
    assert "\x1b" not in said
    assert processes_with(mark) == []
    assert list(tmp_path.iterdir()) == []


needs_proc = pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux tells a child of its parent's death"
)


@pytest.mark.standalone
@needs_proc
@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)],
    ids=["interrupted", "terminated", "killed"],
)
def test_demo_that_is_ended_leaves_no_process(tmp_path: Path, number: signal.Signals, code: int) -> None:
    """However the demo is ended in the middle of its story, its processes end with it."""
    with running_demo(tmp_path) as (process, mark):
        read_until(process, "signs up")
        before = processes_with(mark)

        process.send_signal(number)
        ended_with = process.wait(LEAVE_SECONDS)

        deadline = time.monotonic() + LEAVE_SECONDS
        while processes_with(mark) and time.monotonic() < deadline:
            time.sleep(0.1)
        after = processes_with(mark)

    assert len(before) >= 7  # the demo, Redis, sandbox, web, worker, beat, story
    assert after == []
    assert ended_with == code
    # After a kill nobody is there to remove the folder; the next start does.
    assert bool(list(tmp_path.iterdir())) == (number == signal.SIGKILL)


@pytest.mark.standalone
def test_demo_on_a_taken_port_says_so_and_keeps_the_logs(tmp_path: Path) -> None:
    """A stage that can't be set ends with 1, the log that tells why, and the place of all logs."""
    with taken_port() as port, running_demo(tmp_path, "--port", str(port)) as (process, mark):
        said, _ = process.communicate(timeout=STORY_SECONDS)

    assert process.returncode == 1
    assert "web did not start" in said
    assert "That port is already in use" in said
    (kept,) = tmp_path.iterdir()
    assert str(kept) in said
    assert (kept / "web.log").exists()
    assert processes_with(mark) == []


def call(seq: int, endpoint: str, *, after: float = 0) -> Call:
    """Return a request that was received some seconds after `NOW`, and answered a second later."""
    received_at = NOW + timedelta(seconds=after)
    return Call(
        seq=seq,
        endpoint=endpoint,
        status=200,
        received_at=received_at,
        answered_at=received_at + timedelta(seconds=1),
    )


def ledger(customers: tuple[Accepted, ...] = (), activities: tuple[Accepted, ...] = ()) -> Ledger:
    """Return what Track360 would know after these acceptances."""
    calls = tuple(each.call for each in (*customers, *activities))
    return Ledger(calls=calls, customers=customers, activities=activities, repeated=0)


def customer(customer_id: object, *, after: float = 0) -> Accepted:
    """Return the acceptance of a customer."""
    return Accepted(record={"customerId": str(customer_id)}, call=call(1, "customers", after=after))


def deposit(eventid: str, customer_id: object, *, after: float) -> Accepted:
    """Return the acceptance of an activity."""
    record = {"eventname": "Deposit", "eventid": eventid, "customerid": str(customer_id)}
    return Accepted(record=record, call=call(2, "activities", after=after))


def faults(seen: Ledger) -> dict[str, int]:
    """Return what the verdict finds wrong."""
    nothing = Period(begun_at=NOW, ended_at=NOW)
    verdict = judge(seen, since=NOW, outage=nothing)
    return {name: number for name, number in verdict.faults.items() if number}


@pytest.mark.django_db
def test_verdict_on_a_committed_customer_that_did_not_arrive_says_lost() -> None:
    """A user in the host's table whom Track360 does not have is lost."""
    User.objects.create_user("alex")

    assert faults(ledger()) == {LOST: 1}


@pytest.mark.django_db
def test_verdict_on_staff_that_did_not_arrive_is_clean() -> None:
    """Staff are no customers."""
    User.objects.create_superuser("staff")

    assert faults(ledger()) == {}


@pytest.mark.django_db
def test_verdict_on_an_accepted_customer_that_was_never_committed_says_so() -> None:
    """A customer at Track360 without a user in the host's table is a phantom."""
    assert faults(ledger((customer(404),))) == {PHANTOMS: 1}


@pytest.mark.django_db
def test_verdict_on_a_customer_accepted_twice_says_duplicated() -> None:
    """A customer that was sent again although nothing had changed is duplicated."""
    user = User.objects.create_user("alex")

    assert faults(ledger((customer(user.pk), customer(user.pk, after=5)))) == {DUPLICATED: 1}


@pytest.mark.django_db
@pytest.mark.parametrize(("after", "expected"), [(0.5, {OUT_OF_ORDER: 1}), (1, {})], ids=["before", "after"])
def test_verdict_on_an_activity_sent_before_its_customer_says_out_of_order(
    after: float, expected: dict[str, int]
) -> None:
    """An activity that was sent before its customer's acceptance was answered is out of order."""
    user = User.objects.create_user("alex")

    found = faults(ledger((customer(user.pk),), (deposit("TX-1", user.pk, after=after),)))

    assert found == {PHANTOMS: 1, **expected}


@pytest.fixture
def books(user: User) -> tuple[dict[str, str], ...]:
    """Write what a customer did into the host's tables; return what Track360 should have of it."""
    early, late = NOW + timedelta(minutes=1), NOW + timedelta(minutes=2)
    account = Account.objects.create(user=user, currency="BHD")
    money: dict[str, Any] = {
        "account": account,
        "currency": "BHD",
        "completed_at": early,
        "reversed_at": late,
    }
    Deposit.objects.create(reference="in", amount=Decimal(250), status="reversed", **money)
    Withdrawal.objects.create(reference="out", amount=Decimal("1.125"), status="reversed", **money)
    Withdrawal.objects.create(reference="asked", account=account, currency="BHD", amount=5)
    gift: dict[str, Any] = {"account": account, "product": "Casino", "amount": 2}
    Bonus.objects.create(reference="gift", granted_at=early, revoked_at=late, **gift)
    Bonus.objects.create(reference="before-the-story", granted_at=EVE, **gift)
    bets = {"account": account, "product": "Casino", "stake": 10, "placed_at": EVE}
    Bet.objects.create(reference="lost", settled_at=EVE, **bets)
    Bet.objects.create(reference="won", settled_at=EVE, win=Decimal("2.5"), **bets)
    Bet.objects.create(reference="void", settled_at=EVE, voided_at=EVE, **bets)
    Bet.objects.create(reference="today", settled_at=early, **bets)
    Bet.objects.create(reference="open", **bets)
    Activity.objects.all().delete()
    customerid = str(user.pk)
    return tuple(
        {"customerid": customerid, "Currency": "BHD", **record}
        for record in (
            {"eventname": "Deposit", "eventid": "in", "Value": "250.000"},
            {"eventname": "Chargeback", "eventid": "in-reversal", "Value": "250.000"},
            {"eventname": "Withdrawal", "eventid": "out", "Value": "1.125"},
            {"eventname": "Withdrawal", "eventid": "out-reversal", "Value": "-1.125"},
            {"eventname": "Bonus", "eventid": "gift", "product": "Casino", "Value": "2.000"},
            {"eventname": "Bonus", "eventid": "gift-reversal", "product": "Casino", "Value": "-2.000"},
            {
                "eventname": "DailyStats",
                "eventid": "whatever",
                "createtime": "2025-12-31",
                "product": "Casino",
                "GGR": "17.500",
                "NGR": "15.500",
                "Bets": "20.000",
                "Games": "2",
            },
        )
    )


@pytest.fixture
def user() -> User:
    """Return a customer who signed up when the story began."""
    return User.objects.create(username="alex", date_joined=NOW)


def accepted(user: User, records: Iterable[dict[str, str]]) -> Ledger:
    """Return what Track360 knows once it accepted these records after their customer."""
    calls = (Accepted(record=record, call=call(2, "activities", after=5)) for record in records)
    return ledger((customer(user.pk),), tuple(calls))


@pytest.mark.django_db
def test_verdict_on_the_books_as_they_are_is_clean(user: User, books: tuple[dict[str, str], ...]) -> None:
    """Payments, what came back of them, bonuses and a day's total: all of it accepted once is no fault."""
    assert faults(accepted(user, books)) == {}


@pytest.mark.django_db
@pytest.mark.parametrize("index", range(7))
def test_verdict_on_a_record_that_did_not_arrive_says_lost(
    user: User, books: tuple[dict[str, str], ...], index: int
) -> None:
    """Each KPI is missed."""
    assert faults(accepted(user, (*books[:index], *books[index + 1 :]))) == {LOST: 1}


@pytest.mark.django_db
@pytest.mark.parametrize("index", range(7))
def test_verdict_on_another_number_says_so(user: User, books: tuple[dict[str, str], ...], index: int) -> None:
    """A record with a number that the tables do not say is not the one that was committed."""
    name = "Value" if "Value" in books[index] else "NGR"
    wrong = {**books[index], name: "17.000"}

    found = faults(accepted(user, (*books[:index], wrong, *books[index + 1 :])))

    assert found == {LOST: 1, PHANTOMS: 1}


@pytest.mark.django_db
def test_verdict_on_a_day_that_arrived_twice_says_duplicated(
    user: User, books: tuple[dict[str, str], ...]
) -> None:
    """A day's total that was accepted under two ids counts twice."""
    assert faults(accepted(user, (*books, books[-1]))) == {DUPLICATED: 1}


@pytest.mark.parametrize(
    ("percent", "expected"), [(50, 2.0), (95, 4.0), (100, 4.0), (1, 1.0)], ids=["p50", "p95", "all", "least"]
)
def test_percentile_of_four_values_is_one_of_them(percent: int, expected: float) -> None:
    """A percentile is a value that was measured."""
    assert percentile((1.0, 2.0, 3.0, 4.0), percent) == expected


def test_percentile_of_nothing_is_zero() -> None:
    """Without values there is no time to tell."""
    assert percentile((), 95) == 0.0
