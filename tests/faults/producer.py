"""
A process of the host that signs people up, pays and bets, by lot: `python -m tests.faults.producer NAME JOURNAL SEED`.

It goes on until it is killed or its standard time is over, and keeps a journal of what it commits and rolls back.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Final

import django

from tests.faults import truth
from tests.faults.truth import MARKER, Effect, Journal

if TYPE_CHECKING:
    from django.contrib.auth.models import User

# How long a transaction stays open that shall commit after rows with higher ids.
SLOW_SECONDS: Final = 0.6
PAUSE_SECONDS: Final = 0.05


class RollBackError(Exception):
    """Raised on purpose within a transaction of the host."""


@dataclass
class Producer:
    """One process of the host."""

    name: str
    journal: Journal
    lot: random.Random
    count: int = 0
    pending: list[Effect] = field(default_factory=list)

    def work(self, seconds: float) -> None:
        """Do one thing after the other until the time is over."""
        deadline = time.monotonic() + seconds
        ways = (
            self.commit,
            self.commit,
            self.in_autocommit,
            self.roll_back,
            self.with_savepoint,
            self.slowly,
        )
        while time.monotonic() < deadline:
            self.count += 1
            self.pending = []
            self._guarded(self.lot.choice(ways))
            time.sleep(PAUSE_SECONDS * self.lot.random())

    def _guarded(self, way: Callable[[str], None]) -> None:
        from django.db import DatabaseError, InterfaceError, connection

        op = f"{self.name}-{self.count}"
        try:
            way(op)
        except RollBackError:
            self.journal.end(op, "rolled back")
        except (DatabaseError, InterfaceError) as error:
            self.journal.end(op, "failed", type(error).__name__)
            connection.close()
            time.sleep(0.2)
        except Exception as error:  # noqa: BLE001  that is what is looked for: an error that a host should not see
            self.journal.end(op, "harmed", f"{type(error).__name__}: {error}")
            connection.close()
        else:
            self.journal.end(op, "committed")

    # The ways of a transaction.

    def commit(self, op: str) -> None:
        """Do some things in one transaction."""
        from django.db import transaction

        with transaction.atomic():
            self._some_things()
            self._leave_witness(op)

    def roll_back(self, op: str) -> None:
        """Do some things and take them back."""
        from django.db import transaction

        with transaction.atomic():
            self._some_things()
            self._leave_witness(op)
            raise RollBackError

    def with_savepoint(self, op: str) -> None:
        """Do some things, some of them in a savepoint that is rolled back."""
        from django.db import transaction

        with transaction.atomic():
            self._some_things()
            kept = list(self.pending)
            with transaction.atomic():
                self._some_things()
                transaction.set_rollback(True)
            self.pending = kept
            self._some_things()
            self._leave_witness(op)

    def slowly(self, op: str) -> None:
        """Write early and commit late: others commit higher ids in between."""
        from django.db import transaction

        with transaction.atomic():
            self._bet(self._somebody() or self._sign_up())
            time.sleep(SLOW_SECONDS * self.lot.random())
            self._leave_witness(op)

    def in_autocommit(self, op: str) -> None:
        """Do one thing; each statement of the host commits by itself."""
        from django.contrib.auth.models import User

        somebody = self._somebody()
        if somebody is None or self.lot.random() < 0.3:
            user = User.objects.create(username=f"{self.name}-{self.count}", first_name=self._marker())
            self._report(user, op)
        else:
            self.lot.choice((self._bet, self._deposit, self._update))(somebody, op)

    def _leave_witness(self, op: str) -> None:
        """Write the row that says afterwards whether the transaction was committed; then note what it does."""
        from django.contrib.sessions.models import Session
        from django.utils import timezone

        Session.objects.create(
            session_key=op, session_data="", expire_date=timezone.now() + timedelta(days=1)
        )
        self.journal.begin(op, self.pending, is_autocommit=False)

    # The things; given an operation's name, they are noted as one that commits by itself.

    def _some_things(self) -> None:
        for _ in range(self.lot.randint(1, 3)):
            somebody = self._somebody()
            if somebody is None or self.lot.random() < 0.3:
                somebody = self._sign_up()
            self.lot.choice((self._bet, self._bet, self._deposit, self._update))(somebody)

    def _sign_up(self) -> User:
        from django.contrib.auth.models import User

        self.count += 1
        user = User.objects.create(username=f"{self.name}-{self.count}", first_name=self._marker())
        self._report(user)
        return user

    def _report(self, user: User, op: str = "") -> None:
        from track360_django import customers

        tracking = f"2001_{self.name}_{user.username}"
        self._note(truth.signup(str(user.pk), user.first_name, tracking), op)
        customers.report(user, tracking={"tracking_data": tracking})

    def _bet(self, user: User, op: str = "") -> None:
        from track360_django import activities

        self.count += 1
        eventid, value = f"bet-{self.name}-{self.count}", self._amount()
        self._note(truth.activity("Bet", eventid, str(user.pk), str(value)), op)
        activities.report("Bet", customer=user, value=value, currency="USD", eventid=eventid)

    def _deposit(self, user: User, op: str = "") -> None:
        from django.utils import timezone

        from example_project.cashier.models import Account, Deposit

        self.count += 1
        reference, value = f"TX-{self.name}-{self.count}", self._amount()
        account = Account.objects.get_or_create(user=user, currency="USD")[0]
        self._note(truth.activity("Deposit", reference, str(user.pk), str(value)), op)
        Deposit.objects.create(
            account=account,
            reference=reference,
            amount=value,
            currency="USD",
            status=Deposit.Status.COMPLETED,
            completed_at=timezone.now(),
        )

    def _update(self, user: User, op: str = "") -> None:
        from track360_django import customers

        self.count += 1
        name, value = f"status_{self.name}", f"{self.name}-{self.count}"
        self._note(truth.update(str(user.pk), name, value), op)
        customers.update(user, **{name: value})

    def _note(self, effect: Effect, op: str) -> None:
        if op:
            self.journal.begin(op, [effect], is_autocommit=True)
        else:
            self.pending.append(effect)

    def _somebody(self) -> User | None:
        """Return a customer who has signed up, of any producer."""
        from django.contrib.auth.models import User

        from track360_django.models import Customer

        ids = list(Customer.objects.order_by("-pk").values_list("user_pk", flat=True)[:40])
        return User.objects.filter(pk=self.lot.choice(ids)).first() if ids else None

    def _marker(self) -> str:
        return f"{MARKER}{self.name}{self.lot.randrange(10**9)}"

    def _amount(self) -> Decimal:
        return (Decimal(self.lot.randint(100, 99_999)) / 100).quantize(Decimal("0.01"))


if __name__ == "__main__":
    django.setup()
    name, path, seed, seconds = sys.argv[1:]
    Producer(name, Journal(Path(path)), random.Random(f"{seed}-{name}")).work(float(seconds))
