"""A day's totals that take the place of others: never paid beside what can only be flagged, never lost."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from io import StringIO
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from pytest_django import Settings as HostSettings

from tests.configuration import configure
from tests.daily.player_days import DAY, Days, PlayerDay, bodies, deliver, report, row
from track360_django import activities, daily, tasks
from track360_django.db import clock
from track360_django.models import Activity, Status

if TYPE_CHECKING:
    from track360_django.testing import Outbox

pytestmark = pytest.mark.django_db

FLAG_OR_RESEND = ["flag", "resend"]


@pytest.fixture(autouse=True)
def product_is_agreed(nothing_is_agreed: None, settings: HostSettings) -> None:
    """Agree on a field for products."""
    configure(settings, PRODUCT_FIELD="product")


def paid() -> Decimal:
    """Return what the affiliate is paid for: what was delivered or will be, by its own."""
    alive = [body for body in bodies() if body]
    return sum((Decimal(body["GGR"]) for body in alive), Decimal(0))


def held() -> list[str]:
    """Return the ids of what is kept back."""
    rows = Activity.objects.filter(status=Status.DEAD, reason="regrouped").order_by("eventid")
    return list(rows.values_list("eventid", flat=True))


def of(product: str, ggr: int, customer: str = "c-1") -> dict[str, Any]:
    """Return a row of a product."""
    return row(customer, product=product, GGR=Decimal(ggr))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([row(GGR=Decimal(100))], [of("Casino", 60), of("Sports", 40)]),
        ([row(GGR=Decimal(100))], [row(GGR=Decimal(40)), of("Casino", 60)]),
        ([row(GGR=Decimal(-100))], [row(GGR=Decimal(-110)), of("Casino", 10)]),
        ([row(GGR=Decimal(50))], [of("Casino", 70), of("Sports", -20)]),
        ([of("casino", 50)], [of("Casino", 50)]),
        ([row(GGR=Decimal(50))], [row(currency="EUR", GGR=Decimal(50))]),
        ([row("old", GGR=Decimal(50))], [row("new", GGR=Decimal(50))]),
    ],
    ids=["split", "split-in-part", "split-below-zero", "signs", "spelling", "currency", "customer"],
)
def test_total_that_takes_the_place_of_a_flagged_one_is_held(
    before: list[Any], after: list[Any], ledger: Days, track360_outbox: Outbox, settings: HostSettings
) -> None:
    """Money that went under another id is not reported twice; with CORRECTIONS="resend" it moves."""
    ledger[DAY] = before
    report()
    deliver(track360_outbox)
    worth = paid()

    ledger[DAY] = after
    first = report()

    assert first["changed"] == 1
    assert first["refused"] == len(held()) > 0
    assert paid() == worth
    assert report() == {"flagged": 1, "refused": len(held())}
    configure(settings, PRODUCT_FIELD="product", CORRECTIONS="resend")
    assert report() == {"changed": 1, "new": first["refused"]}
    deliver(track360_outbox)
    assert (paid(), held()) == (sum(each["GGR"] for each in after), [])
    assert set(report()) == {"unchanged"}


def test_old_grouping_releases_nothing_and_clears_the_flag(ledger: Days, track360_outbox: Outbox) -> None:
    """Who takes the change back has what was reported, and no dead record of it."""
    ledger[DAY] = [row(GGR=Decimal(100))]
    report()
    deliver(track360_outbox)
    ledger[DAY] = [of("Casino", 60), of("Sports", 40)]
    report()

    ledger[DAY] = [row(GGR=Decimal(100))]

    assert report() == {"unchanged": 1, "mended": 2}
    assert Activity.objects.get().changed_at is None


def test_renamed_user_is_not_reported_twice(
    ledger: Days, track360_outbox: Outbox, settings: HostSettings
) -> None:
    """A user whose customer id changes is the same user, whatever they lost or won meanwhile."""
    configure(settings, CUSTOMER_ID="username")
    user = User.objects.create(username="old")
    ledger[DAY] = [row(user, GGR=Decimal(50))]
    report()
    deliver(track360_outbox)

    user.username = "new"
    user.save()
    ledger[DAY] = [row(user, GGR=Decimal(45))]

    assert report() == {"changed": 1, "refused": 1}
    assert held() == ["DailyStats-2025-07-21-new-USD"]


@pytest.mark.parametrize(
    "after",
    [
        [of("Casino", 60), of("Sports", 40)],
        [of("Casino", 70), of("Sports", 40)],
        [of("Casino", 60), of("Sports", -5)],
        [of("Casino", 60), of("Sports", 0), row("c-2", GGR=Decimal(7))],
    ],
    ids=["beside", "beside-one-that-grew", "below-zero", "other-customer"],
)
def test_total_beside_one_that_lost_nothing_is_new(
    after: list[Any], ledger: Days, track360_outbox: Outbox
) -> None:
    """What the customer also played is reported."""
    ledger[DAY] = [of("Casino", 60)]
    report()
    deliver(track360_outbox)

    ledger[DAY] = after

    assert report()["new"] == 1
    assert held() == []


def test_gone_total_of_one_customer_keeps_back_no_other(ledger: Days, track360_outbox: Outbox) -> None:
    """A voided bet is one customer's affair."""
    ledger[DAY] = [row("c-1", GGR=Decimal(50))]
    report()
    deliver(track360_outbox)

    ledger[DAY] = [row("c-2", GGR=Decimal(51))]

    assert report() == {"changed": 1, "new": 1}


@pytest.mark.parametrize("corrections", FLAG_OR_RESEND)
def test_total_that_takes_the_place_of_a_pruned_one_is_held(
    ledger: Days, track360_outbox: Outbox, settings: HostSettings, corrections: str
) -> None:
    """What has lost its body can't be restated any more."""
    configure(settings, PRODUCT_FIELD="product", CORRECTIONS=corrections)
    ledger[DAY] = [row(GGR=Decimal(50))]
    report()
    deliver(track360_outbox)
    Activity.objects.update(delivered_at=clock.Now() - timedelta(days=31))
    tasks.prune()

    ledger[DAY] = [of("Casino", 50)]

    assert report() == {"pruned": 1, "refused": 1}
    assert held() == ["DailyStats-2025-07-21-c-1-Casino-USD"]


@pytest.mark.parametrize("corrections", FLAG_OR_RESEND)
def test_total_beside_one_that_is_kept_is_held(
    ledger: Days, settings: HostSettings, corrections: str
) -> None:
    """While a row can't be read, what seems to be gone may be in it, and stays."""
    configure(settings, PRODUCT_FIELD="product", CORRECTIONS=corrections)
    ledger[DAY] = [row(GGR=Decimal(50))]
    report()

    ledger[DAY] = [of("Casino", 50), row(None, GGR=Decimal(1))]

    assert report() == {"kept": 1, "refused": 2}
    assert paid() == 50
    ledger[DAY].pop()
    assert report() == {"changed": 1, "new": 1, "mended": 1}
    assert paid() == 50


def test_requeue_releases_nothing(ledger: Days, track360_outbox: Outbox) -> None:
    """What is kept back waits for a run that knows better, whoever requeues it."""
    ledger[DAY] = [row(GGR=Decimal(50))]
    report()
    deliver(track360_outbox)
    ledger[DAY] = [of("Casino", 50)]
    report()

    with pytest.raises(CommandError, match="still can't be reported: 1"):
        call_command("track360", "requeue", "--reason", "regrouped", stdout=StringIO())

    assert track360_outbox.deliver().delivered == 0
    assert report() == {"flagged": 1, "refused": 1}
    assert held() == ["DailyStats-2025-07-21-c-1-Casino-USD"]


@pytest.mark.parametrize("corrections", FLAG_OR_RESEND)
def test_unsent_total_moves(ledger: Days, settings: HostSettings, corrections: str) -> None:
    """What nobody can have seen is corrected, whatever was agreed."""
    configure(settings, PRODUCT_FIELD="product", CORRECTIONS=corrections)
    ledger[DAY] = [row(GGR=Decimal(50))]
    report()

    ledger[DAY] = [of("Casino", 50)]

    assert report() == {"changed": 1, "new": 1}
    assert paid() == 50


# What another class wrote.


def test_moved_declaration_is_told_of_and_changes_nothing(
    ledger: Days,
    track360_outbox: Outbox,
    settings: HostSettings,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Records of a class that is not there any more stay as they are, until its label is given."""
    configure(settings, PRODUCT_FIELD="product", CORRECTIONS="resend")
    ledger[DAY] = [row(f"c-{number}", GGR=Decimal(number)) for number in range(1, 5)]
    report()
    deliver(track360_outbox)
    before = list(Activity.objects.order_by("pk").values())
    monkeypatch.setattr(PlayerDay, "source", "moved")
    same, changed, regrouped = row("c-1", GGR=1), row("c-2", GGR=Decimal(20)), of("Casino", 3, customer="c-3")
    ledger[DAY] = [same, changed, regrouped]

    for _ in range(2):
        assert report() == {"unchanged": 1, "foreign": 3, "refused": 1}
    assert list(Activity.objects.exclude(customer=None).order_by("pk").values()) == before
    assert held() == ["DailyStats-2025-07-21-c-3-Casino-USD"]
    with pytest.raises(CommandError, match=r'source = "tests\.daily\.player_days\.PlayerDay"'):
        call_command("track360", "daily", "--date", "2025-07-21", stdout=StringIO())
    caplog.clear()
    daily.report_days([(PlayerDay(), DAY), (PlayerDay(), DAY)])
    told = [record for record in caplog.records if record.levelname == "WARNING"]
    assert ["PlayerDay" in record.getMessage() for record in told] == [True]

    monkeypatch.setattr(PlayerDay, "source", "tests.daily.player_days.PlayerDay")
    assert report() == {"unchanged": 1, "changed": 3, "new": 1}
    assert paid() == 24


def test_two_declarations_of_one_name_leave_each_other_alone(ledger: Days) -> None:
    """Each product line may have a declaration of its own: what the other one wrote is not foreign."""
    casino = type("CasinoDay", (PlayerDay,), {"rows": lambda _self, _day: [of("Casino", 5)]})
    ledger[DAY] = [of("Sports", 7)]
    activities.register_daily(casino)
    declarations = activities.daily_declarations()

    first, again = ([daily.report_day(each, DAY).counts for each in declarations] for _ in range(2))

    activities.unregister_daily(casino)
    assert [counts["new"] for counts in first] == [1, 1]
    assert [+counts for counts in again] == [{"unchanged": 1}] * 2


# What is the same, and what is a number.


@pytest.mark.parametrize("corrections", FLAG_OR_RESEND)
def test_equal_numbers_are_no_change(
    ledger: Days, track360_outbox: Outbox, settings: HostSettings, corrections: str
) -> None:
    """50.00 and 50 are one number: the text that was sent stays."""
    configure(settings, CORRECTIONS=corrections)
    ledger[DAY] = [row(GGR=Decimal(50))]
    report()
    deliver(track360_outbox)

    ledger[DAY] = [row(GGR=50)]

    assert report() == {"unchanged": 1}
    assert bodies()[0]["GGR"] == "50.00"


def test_flag_is_cleared_when_the_total_says_the_same_again(ledger: Days, track360_outbox: Outbox) -> None:
    """Nobody has to look at what is as it was reported."""
    ledger[DAY] = [row(GGR=Decimal(50))]
    report()
    deliver(track360_outbox)
    ledger[DAY] = [row(GGR=Decimal(60))]
    report()
    assert Activity.objects.get().changed_at is not None

    ledger[DAY] = [row(GGR=Decimal(50))]

    assert report() == {"unchanged": 1}
    assert Activity.objects.get().changed_at is None


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ("product", {"GGR": "0", "NGR": "0", "product": "100"}),
        ("track360_django.products.suffix", {"GGR100": "0", "NGR100": "0"}),
    ],
)
def test_number_that_equals_its_product_becomes_zero(
    ledger: Days, track360_outbox: Outbox, settings: HostSettings, shape: str, expected: dict[str, str]
) -> None:
    """A product is told by the name of its field, not by what it says."""
    configure(settings, PRODUCT_FIELD=shape, CORRECTIONS="resend")
    ledger[DAY] = [row(currency="JPY", product=100, GGR=Decimal(100), NGR=Decimal(90))]
    report()
    deliver(track360_outbox)

    ledger[DAY] = []

    assert report() == {"changed": 1}
    assert bodies()[0].items() >= expected.items()
