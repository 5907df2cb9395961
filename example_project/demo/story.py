"""
The main job as a story: from a landing URL to a reported customer and all they do, and what may go wrong.

Visitors and payment provider are real HTTP clients. The host's tables are read, to know what had to happen, and
written once: nobody can bet yesterday.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import StringIO
from typing import Final, TypeVar

from django.contrib.auth.models import User
from django.core.management import call_command

from example_project.cashier.models import Account
from example_project.demo.browser import Exchange
from example_project.demo.console import Console
from example_project.demo.ledger import Accepted, Ledger, Track360
from example_project.demo.verdict import LOST, Period, Verdict, judge
from example_project.demo.visitor import PaymentProvider, Visitor
from example_project.games.models import Bet
from example_project.games.products import Product
from track360_django.delivery.retry_policy import SCHEDULE_SECONDS
from track360_django.models import Activity, Customer, Status

# The value of the API guide's example.
TRACKING_DATA: Final = "2001_1000_abcdefg"
# One character more than the guide allows.
TOO_LONG: Final = "x" * 51
# While all are well a record arrives within milliseconds; on a machine so busy that a wake-up gets lost, with the next
# sweep, 30 seconds later.
ARRIVAL_SECONDS: Final = 45.0
# After an outage: at most a breaker's first pause and one sweep, 30 seconds each, and some.
RECOVERY_SECONDS: Final = 75.0
# What has not arrived by then was not sent.
SILENCE_SECONDS: Final = 0.5
# Long enough to be noticed, and not longer than the first step of the retry schedule.
OUTAGE_SECONDS: Final = 5.0
BUSY_DEPOSITS: Final = 20
OK, FOUND = 200, 302

Found = TypeVar("Found")


class StoryError(Exception):
    """Something did not happen as told; the message says what."""


class Story:
    """The acts, each a method; `ACTS` says in which order they are played."""

    def __init__(self, site: str, sandbox: str, console: Console) -> None:
        self._site = site
        self._track360 = Track360(sandbox)
        self._provider = PaymentProvider(site)
        self._console = console
        self._begun_at = datetime.now(UTC)
        self._alex = Visitor(site, "alex")
        self._reference = ""
        self._usual_seconds = 0.0
        self._outage = Period(begun_at=self._begun_at, ended_at=self._begun_at)

    def play(self) -> Verdict:
        """
        Play all acts.

        Raises:
            StoryError: Something did not happen.
        """
        for number, (title, act) in enumerate(ACTS, start=1):
            self._console.step(f"{number:>2}  {title}")
            act(self)
        return self._judge(self._track360.ledger())

    def land(self) -> None:
        """Alex follows a link of Track360."""
        self._show(self._alex, self._alex.land(TRACKING_DATA))

    def wander(self) -> None:
        """Alex looks around; the value is in no URL any more."""
        self._show(self._alex, self._alex.look_at("/games/"))
        self._show(self._alex, self._alex.look_at("/promotions/"))

    def sign_up(self) -> None:
        """Alex becomes a customer, by Django's own form."""
        answer = self._alex.sign_up()
        self._usual_seconds = answer.seconds
        self._show(self._alex, answer, FOUND)

    def deliver(self) -> None:
        """The customer arrives at Track360, with the very value."""
        accepted = self._await_customer(self._alex)
        self._show_accepted(accepted, "customerId", "regtime", "country", "tracking_data")
        value = accepted.record.get("tracking_data")
        self._expect(value == TRACKING_DATA, f"the customer came with tracking_data {value!r}")

    def deposit(self) -> None:
        """Alex pays in; until the money is there, Track360 hears nothing of it."""
        answer, self._reference = self._alex.deposit("250.00")
        self._show(self._alex, answer, FOUND)
        time.sleep(SILENCE_SECONDS)
        self._expect(self._track360.ledger().activity(self._reference) is None, "a pending deposit was sent")
        self._console.said("track360", "nothing: the deposit is pending")

    def complete(self) -> None:
        """The money is there, and the deposit arrives at Track360 after its customer."""
        self._show("provider", self._provider.complete(self._reference))
        accepted = self._await("the deposit", lambda ledger: ledger.activity(self._reference))
        self._show_accepted(accepted, "eventname", "Value", "Currency", "customerid")
        self._expect(
            not self._track360.ledger().is_early(accepted), "the deposit was sent before its customer"
        )

    def be_busy(self) -> None:
        """Deposits as fast as one visitor and one provider can."""
        begun = time.perf_counter()
        references = [self._pay(self._alex, "10.00") for _ in range(BUSY_DEPOSITS)]
        seconds = time.perf_counter() - begun
        self._console.said(
            "alex", f"{BUSY_DEPOSITS} deposits, each completed by the provider, in {seconds:.1f} s"
        )
        self._await("every deposit", lambda ledger: all(map(ledger.activity, references)) or None)
        self._console.said("track360", f"has all {BUSY_DEPOSITS}")

    def pay_out(self) -> None:
        """Alex is paid out; another payout comes back, and a deposit is charged back."""
        paid, returned = (self._withdraw(self._alex, amount) for amount in ("40.00", "30.00"))
        self._show("provider", self._provider.reverse(returned, "withdrawals"))
        self._show("provider", self._provider.reverse(self._reference))
        wanted = (paid, returned, f"{returned}-reversal", f"{self._reference}-reversal")
        for eventid in wanted:
            self._show_accepted(self._await_activity(eventid), "eventname", "Value", "Currency", "customerid")

    def bet(self) -> None:
        """Alex bets today, which is told when the day is over; what they bet yesterday is added up."""
        for product in Product:
            self._show(self._alex, self._alex.bet(product, "5.00"), FOUND)
        day_before = self._begun_at - timedelta(days=1)
        self._bet_at(day_before)
        command = "track360", "daily", "--date", day_before.date().isoformat()
        call_command(*command, stdout=StringIO())
        self._console.said("host", f"manage.py {' '.join(command)}")
        self._await("every total", lambda ledger: len(self._totals(ledger)) == len(Product) or None)
        for accepted in self._totals(self._track360.ledger()):
            self._show_accepted(accepted, "eventname", "createtime", "product", "GGR", "Bets", "Games")

    def suffer(self) -> None:
        """Track360 answers 503 for a while; the site goes on."""
        begun_at, until = datetime.now(UTC), time.monotonic() + OUTAGE_SECONDS
        self._track360.break_down(503)
        self._console.said("track360", "answers 503 to everything")
        slowest = max(self._join(name, f"2001_1000_{name}") for name in ("bo", "cam", "dee"))
        self._pay(self._alex, "75.00")
        usual, slowest = self._usual_seconds * 1000, slowest * 1000
        self._console.said("site", "three sign-ups and four completed deposits")
        self._console.detail(
            f"the slowest sign-up took {slowest:.0f} ms; alex's, before the outage, {usual:.0f} ms"
        )
        time.sleep(max(0.0, until - time.monotonic()))
        self._track360.recover()
        self._outage = Period(begun_at=begun_at, ended_at=datetime.now(UTC))
        self._show_outage()

    def sign_up_twice(self) -> None:
        """The same form of django-allauth is sent twice, and its signal comes beside Django's: one customer."""
        eve = Visitor(self._site, "eve")
        self._show(eve, eve.land("2001_1000_twice"))
        first, second = eve.sign_up_twice()
        self._show(eve, first, FOUND)
        self._show(eve, second)
        self._show_accepted(self._await_customer(eve), "customerId", "regtime", "tracking_data")
        rows = Customer.objects.filter(customer_id=self._customer_id(eve)).count()
        self._expect(rows == 1, f"one sign-up became {rows} customers")
        self._console.detail("one user, one customer; the second time the site shows the form again")

    def come_alone(self) -> None:
        """Nobody sent Finn: reported all the same, and unattributed."""
        finn = Visitor(self._site, "finn")
        self._show(finn, finn.look_at("/"))
        self._show(finn, finn.sign_up(), FOUND)
        self._show_unattributed(finn)

    def come_with_nonsense(self) -> None:
        """A value of 51 characters is not remembered, as it can't be returned; the page is what it always is."""
        gus = Visitor(self._site, "gus")
        self._show(gus, gus.land(TOO_LONG))
        self._show(gus, gus.sign_up(), FOUND)
        self._show_unattributed(gus)

    def recover(self) -> None:
        """What was written during the outage has arrived by itself."""
        if not self._has_everything(self._track360.ledger()):
            self._show_wait()
        self._await("everything of the outage", self._has_everything, RECOVERY_SECONDS)
        self._await("the last settling", lambda _: not self._unsettled() or None)
        ledger = self._track360.ledger()
        last_at = max(each.call.received_at for each in (*ledger.customers, *ledger.activities))
        seconds = (last_at - self._outage.ended_at).total_seconds()
        self._console.said("track360", f"has everything, {seconds:.1f} s after it was well again")

    def _join(self, name: str, tracking_data: str) -> float:
        """Have somebody land, sign up and pay in; return the seconds that the sign-up took."""
        visitor = Visitor(self._site, name)
        self._show(visitor, visitor.land(tracking_data))
        answer = visitor.sign_up()
        self._show(visitor, answer, FOUND)
        self._pay(visitor, "50.00")
        return answer.seconds

    def _pay(self, visitor: Visitor, amount: str) -> str:
        answer, reference = visitor.deposit(amount)
        self._expect_status(answer, FOUND)
        self._expect_status(self._provider.complete(reference), OK)
        return reference

    def _withdraw(self, visitor: Visitor, amount: str) -> str:
        answer, reference = visitor.withdraw(amount)
        self._expect_status(answer, FOUND)
        self._show("provider", self._provider.complete(reference, "withdrawals"))
        return reference

    def _bet_at(self, moment: datetime) -> None:
        """Write bets of alex that were settled at a moment, two in each product line."""
        account = Account.objects.get(user__username=self._alex.username)
        Bet.objects.bulk_create(
            Bet(
                account=account,
                product=product,
                stake=Decimal(stake),
                win=Decimal(win),
                status=Bet.Status.SETTLED,
                placed_at=moment,
                settled_at=moment,
            )
            for product in Product
            for stake, win in (("10.00", "0.00"), ("20.00", "12.50"))
        )

    def _totals(self, ledger: Ledger) -> list[Accepted]:
        """Return alex's days that Track360 has."""
        customer_id = self._customer_id(self._alex)
        return [
            each
            for each in ledger.activities
            if (each.record["eventname"], each.record["customerid"]) == ("DailyStats", customer_id)
        ]

    def _customer_id(self, visitor: Visitor) -> str:
        return str(User.objects.get(username=visitor.username).pk)

    def _await_customer(self, visitor: Visitor) -> Accepted:
        customer_id = self._customer_id(visitor)
        return self._await(f"the customer {visitor.name}", lambda ledger: ledger.customer(customer_id))

    def _await_activity(self, eventid: str) -> Accepted:
        return self._await(eventid, lambda ledger: ledger.activity(eventid))

    def _await(
        self, what: str, find: Callable[[Ledger], Found | None], seconds: float = ARRIVAL_SECONDS
    ) -> Found:
        found = self._track360.wait_for(find, seconds)
        if found is None:
            message = f"{what} did not arrive at Track360 within {seconds:.0f} seconds"
            raise StoryError(message)
        return found

    def _judge(self, ledger: Ledger) -> Verdict:
        return judge(ledger, since=self._begun_at, outage=self._outage)

    def _has_everything(self, ledger: Ledger) -> bool | None:
        return None if self._judge(ledger).faults[LOST] else True

    def _unsettled(self) -> int:
        """Count the package's own rows that say they are still to be delivered."""
        waiting = {"status__in": (Status.HELD, Status.PENDING), "created_at__gte": self._begun_at}
        return Customer.objects.filter(**waiting).count() + Activity.objects.filter(**waiting).count()

    def _show(self, who: Visitor | str, answer: Exchange, status: int = OK) -> None:
        name = who if isinstance(who, str) else who.name
        self._console.sent(name, answer.request, answer.status, answer.seconds)
        self._expect_status(answer, status)

    def _show_accepted(self, accepted: Accepted, *names: str) -> None:
        endpoint = f"POST /tracking/events/{accepted.call.endpoint}"
        self._console.arrived("track360", endpoint, accepted.call.status)
        fields = (f"{name} {accepted.record[name]}" for name in names if name in accepted.record)
        self._console.detail("  ".join(fields))

    def _show_unattributed(self, visitor: Visitor) -> None:
        accepted = self._await_customer(visitor)
        self._show_accepted(accepted, "customerId", "regtime", "country", "tracking_data")
        customer = Customer.objects.get(customer_id=self._customer_id(visitor))
        self._console.detail(f"no tracking_data: {customer.unattributed_reason}")
        self._expect(
            "tracking_data" not in accepted.record, "an unattributed customer came with tracking data"
        )
        self._expect(not customer.tracking, "a value was stored that can't be returned")

    def _show_outage(self) -> None:
        failed = sum(not call.is_accepted for call in self._track360.ledger().calls)
        seconds = (self._outage.ended_at - self._outage.begun_at).total_seconds()
        self._console.said("track360", f"is well again after {seconds:.0f} s; {failed} requests met a 503")
        self._expect(failed > 0, "nobody tried to deliver during the outage")

    def _show_wait(self) -> None:
        first, second = SCHEDULE_SECONDS[:2]
        self._console.said(
            "worker", "waits for the next attempt of each record: mostly less than half a minute"
        )
        self._console.detail(
            f"due {first} s after its first, {second} s after its second; or for the next sweep"
        )

    def _expect_status(self, answer: Exchange, status: int) -> None:
        self._expect(
            answer.status == status, f"{answer.request} was answered with {answer.status}, not {status}"
        )

    def _expect(self, is_so: bool, otherwise: str) -> None:  # noqa: FBT001 - reads as: expect this, otherwise that
        if not is_so:
            raise StoryError(otherwise)


ACTS: Final[tuple[tuple[str, Callable[[Story], None]], ...]] = (
    ("A visitor lands", Story.land),
    ("wanders", Story.wander),
    ("signs up", Story.sign_up),
    ("and is a customer at Track360", Story.deliver),
    ("A deposit is made", Story.deposit),
    ("and completed", Story.complete),
    ("A busy moment", Story.be_busy),
    ("Money goes out, and comes back", Story.pay_out),
    ("Bets in four product lines", Story.bet),
    ("Track360 is down", Story.suffer),
    ("The same sign-up twice", Story.sign_up_twice),
    ("A visitor without tracking data", Story.come_alone),
    ("A value that can't be returned", Story.come_with_nonsense),
    ("After the outage", Story.recover),
)
