"""Reporting customers by hand: one row each, frozen attribution, updates as one."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.models import AnonymousUser, Group, User
from django.core.exceptions import ImproperlyConfigured
from django.db import connection, connections, transaction
from django.test import RequestFactory
from django.utils import timezone
from pytest_django import Settings as HostSettings

from tests.configuration import configure
from track360_django import activities, attribution, customers, delivery
from track360_django.exceptions import PayloadError
from track360_django.models import Customer
from track360_django.sandbox.server import SandboxServer

pytestmark = pytest.mark.django_db

TRACKING = {"tracking_data": "2001_1000_abcdefg"}


@pytest.fixture
def user() -> User:
    """Return somebody nobody has reported."""
    return User.objects.create(username="alex", first_name="Alex")


def sent(sandbox: SandboxServer) -> list[dict[str, Any]]:
    """Return every customer record that arrived, in order."""
    return [dict(call.record) for call in sandbox.store.snapshot().customer_calls]


def test_report_writes_one_row_that_is_due(user: User) -> None:
    """A report is a row, with the value as it was given."""
    customer = customers.report(user, tracking=TRACKING, source="import", salesStatus="New")

    stored = Customer.objects.get()
    assert stored == customer
    assert (stored.customer_id, stored.status, stored.source) == (str(user.pk), "pending", "import")
    assert (stored.tracking, stored.fields, stored.unattributed_reason) == (
        TRACKING,
        {"salesStatus": "New"},
        "",
    )


def test_report_twice_changes_nothing(user: User, track360_sandbox: SandboxServer) -> None:
    """Reporting is idempotent, before and after the delivery."""
    customers.report(user, tracking=TRACKING, salesStatus="New")
    customers.report(user, tracking=TRACKING, salesStatus="New")
    delivery.drain()
    customers.report(user, tracking=TRACKING, salesStatus="New")
    delivery.drain()

    assert len(sent(track360_sandbox)) == 1
    assert Customer.objects.get().version == 1


def test_report_with_other_tracking_keeps_the_frozen_one(user: User, track360_sandbox: SandboxServer) -> None:
    """Attribution is decided once."""
    customers.report(user, tracking=TRACKING)
    customers.report(user, tracking={"tracking_data": "somebody-else"})
    delivery.drain()
    customers.report(user, tracking={"tracking_data": "somebody-else"})
    delivery.drain()

    assert [record["tracking_data"] for record in sent(track360_sandbox)] == [TRACKING["tracking_data"]]


def test_report_of_a_delivered_customer_sends_new_fields_alone_with_the_old_attribution(
    user: User, track360_sandbox: SandboxServer
) -> None:
    """A field that is new goes out, the attribution as it was."""
    customers.report(user, tracking=TRACKING)
    delivery.drain()

    customers.report(user, salesStatus="VIP")
    delivery.drain()

    first, second = sent(track360_sandbox)
    assert second == {**first, "salesStatus": "VIP"}


@pytest.mark.parametrize(
    "tracking",
    [
        {"tracking_data": "x" * 51},
        {"tracking_data": ""},
        {"tracking_data": "a\x00"},
        {"tracking_data": "a\ufffd"},
        {"tracking_data": "\ud800"},
        {"tracking_data": None},
        {"tracking_data": 7},
        {"customerId": "somebody-else"},
        {"regtime": "2025-07-21"},
    ],
    ids=repr,
)
def test_tracking_that_cannot_be_returned_is_refused(user: User, tracking: Any) -> None:
    """What the host passes is held to the same rules as a URL, and nothing is written."""
    with pytest.raises(PayloadError):
        customers.report(user, tracking=tracking)

    assert not Customer.objects.exists()


@pytest.mark.parametrize("act", [customers.report, customers.update], ids=["report", "update"])
@pytest.mark.parametrize(
    "fields",
    [
        {"customerId": "somebody-else"},
        {"regtime": "2025-07-21"},
        {"tracking_data": "an-affiliate"},
        {"salesStatus": 1.5},
        {"salesStatus": ["VIP"]},
        {"salesStatus": "a\x00b"},
        {"balance": Decimal("NaN")},
    ],
    ids="-".join,
)
def test_field_that_cannot_be_reported_is_refused(
    user: User, act: Callable[..., Customer], fields: dict[str, Any]
) -> None:
    """Identity, attribution and values that are no values can't be passed as fields; nothing is written."""
    with pytest.raises(PayloadError):
        act(user, **fields)

    assert not Customer.objects.exists()


@pytest.mark.parametrize(
    "nobody", [None, AnonymousUser(), User(), object()], ids=lambda nobody: type(nobody).__name__
)
def test_nobody_cannot_be_reported(nobody: Any) -> None:
    """A visitor who is not logged in, or a user without an id, is no customer."""
    with pytest.raises((ImproperlyConfigured, PayloadError)):
        customers.report(nobody)

    assert not Customer.objects.exists()


@pytest.mark.parametrize("customer_id", ["x" * 256, "a\x00b", ""], ids=["too-long", "nul", "empty"])
def test_id_that_no_table_keeps_is_refused(customer_id: str) -> None:
    """An id is stored exactly or not at all, on every database alike."""
    with pytest.raises(PayloadError):
        customers.report(customer_id)

    with transaction.atomic():
        assert not Customer.objects.exists()


def test_text_id_is_reported_without_a_user(track360_sandbox: SandboxServer) -> None:
    """Somebody who is no user of the project is a customer by id alone."""
    customers.report("C-1", tracking=TRACKING)

    delivery.drain()

    (record,) = sent(track360_sandbox)
    assert record.pop("regtime")
    assert record == {"customerId": "C-1", **TRACKING}


def test_setting_names_the_customer_id(user: User, settings: HostSettings) -> None:
    """`CUSTOMER_ID` is a path or a function."""
    number = UUID(int=7)
    configure(settings, CUSTOMER_ID=lambda _: number)

    assert customers.report(user).customer_id == str(number)


# Why there is no attribution.


def serve(rf: RequestFactory, path: str) -> Any:
    """Return a request as the middleware leaves it."""
    request: Any = rf.get(path)
    request.track360 = attribution.Touches(request)
    request.track360.query = request.META["QUERY_STRING"].encode()
    request.track360.is_landing = True
    return request


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        (None, "no_request"),
        ("/", "no_parameter"),
        ("/?tracking_data=", "refused_empty"),
        ("/?tracking_data=%ff", "refused_undecodable"),
        ("/?tracking_data=%00", "refused_control_character"),
        (f"/?tracking_data={'x' * 51}", "refused_too_long"),
        ("/?tracking_data=a", ""),
    ],
)
def test_reason_without_attribution_is_kept(
    user: User, rf: RequestFactory, path: str | None, reason: str
) -> None:
    """The row says why nobody is credited."""
    customer = customers.report(user, request=path and serve(rf, path))

    assert customer.unattributed_reason == reason
    assert bool(customer.tracking) is not bool(reason)


def test_wrapped_request_is_unwrapped(user: User, rf: RequestFactory) -> None:
    """A request of Django REST framework carries the touches of the one inside."""

    class Wrapped:
        _request = serve(rf, "/?tracking_data=a")

    assert customers.report(user, request=Wrapped()).tracking == {"tracking_data": "a"}


def test_explicit_tracking_wins_over_the_request(user: User, rf: RequestFactory) -> None:
    """What the host passes itself counts more than any touch; the touches are kept beside it."""
    customer = customers.report(user, request=serve(rf, "/?tracking_data=a"), tracking=TRACKING)

    assert customer.tracking == TRACKING
    assert customer.last_touch is not None
    assert customer.last_touch["params"] == {"tracking_data": "a"}


# Updates.


def test_ten_updates_are_sent_as_one(user: User, track360_sandbox: SandboxServer) -> None:
    """Updates before a delivery cost one request, with the last of each value."""
    customers.report(user, tracking=TRACKING)
    delivery.drain()

    for number in range(10):
        fields: dict[str, Any] = {f"field{number}": number}
        customers.update(user, salesStatus=f"step {number}", **fields)
    delivery.drain()

    assert len(track360_sandbox.store.log.entries()) == 2
    update = sent(track360_sandbox)[1]
    assert update["salesStatus"] == "step 9"
    assert [update[f"field{number}"] for number in range(10)] == [str(number) for number in range(10)]


def test_update_sends_attribution_and_registration_unchanged(
    user: User, track360_sandbox: SandboxServer
) -> None:
    """The tracking snapshot and `regtime` go with each update, whatever has become of the user."""
    customers.report(user, tracking=TRACKING)
    delivery.drain()
    user.date_joined = timezone.now().replace(year=2020)
    user.save()

    customers.update(user, kycStatus="passed")
    delivery.drain()

    first, second = sent(track360_sandbox)
    assert second == {**first, "kycStatus": "passed"}
    assert first["tracking_data"] == TRACKING["tracking_data"]


def test_update_removes_a_field_without_a_value(user: User, track360_sandbox: SandboxServer) -> None:
    """None and an empty text take a field out of the record; they are never sent."""
    customers.report(user, salesStatus="New", kycStatus="open", segment="A")

    customers.update(user, salesStatus=None, kycStatus="")
    delivery.drain()

    (record,) = sent(track360_sandbox)
    assert {"salesStatus", "kycStatus"}.isdisjoint(record)
    assert record["segment"] == "A"


def test_update_of_somebody_unknown_reports_them_without_a_touch(user: User, rf: RequestFactory) -> None:
    """An update is no signup: it credits nobody's link."""
    customers.update(user, request=serve(rf, "/?tracking_data=a"), kycStatus="passed")

    customer = Customer.objects.get()
    assert (customer.status, customer.tracking, customer.fields) == ("pending", {}, {"kycStatus": "passed"})
    assert customer.unattributed_reason


def test_update_wakes_up_a_dead_customer(user: User, track360_sandbox: SandboxServer) -> None:
    """New fields give a record that was refused another try."""
    customer = customers.report(user)
    Customer.objects.update(status="dead", due_at=None, reason="http_400", attempts=3)

    customers.update(user, kycStatus="passed")
    delivery.drain()

    customer.refresh_from_db()
    assert (customer.status, customer.reason) == ("delivered", "")


def test_update_while_a_delivery_is_under_way_is_sent_after_it(
    user: User, track360_sandbox: SandboxServer
) -> None:
    """What changes between the sending and the settling stays due."""
    customers.report(user, salesStatus="A")
    delivery.drain()
    customers.update(user, salesStatus="B")
    customers.update(user, salesStatus="A")
    delivery.drain()

    assert [record["salesStatus"] for record in sent(track360_sandbox)] == ["A", "A"]
    assert Customer.objects.get().accepted_version == 3


def test_values_are_sent_as_the_guide_wants_them(user: User, track360_sandbox: SandboxServer) -> None:
    """Money, counts, dates and times have one form on the wire."""
    customers.report(
        user,
        balance=Decimal("10.5"),
        logins=3,
        birthday=date(1990, 1, 2),
        seen=datetime(2025, 7, 21, 8, 46, tzinfo=UTC),
        isVip=True,
    )
    delivery.drain()

    (record,) = sent(track360_sandbox)
    names = ("balance", "logins", "birthday", "seen", "isVip")
    assert [record[name] for name in names] == ["10.50", "3", "1990-01-02", "2025-07-21 08:46", True]


# Two at once.


@pytest.mark.rowlocks
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("hold", [False, True], ids=["report", "report-and-update"])
def test_reports_at_the_same_time_make_one_row(user: User, *, hold: bool) -> None:
    """Workers that report the same user at once end up with one row, and none of them fails."""
    barrier = threading.Barrier(4)
    errors: list[Exception] = []

    def work(number: int) -> None:
        try:
            barrier.wait()
            for step in range(10):
                with transaction.atomic():
                    if hold:
                        fields: dict[str, Any] = {f"field{number}": step}
                        customers.update(user, **fields)
                    else:
                        customers.report(user, tracking={"tracking_data": f"worker-{number}"})
        except Exception as error:  # noqa: BLE001  told to the test's own thread
            errors.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert errors == []
    customer = Customer.objects.get()
    if hold:
        assert customer.fields == {f"field{number}": "9" for number in range(4)}
    else:
        assert customer.version == 1
        assert customer.tracking["tracking_data"].startswith("worker-")


@pytest.mark.django_db(transaction=True)
def test_rolled_back_report_is_no_report(user: User) -> None:
    """The row belongs to the host's transaction."""
    with transaction.atomic():
        customers.report(user)
        transaction.set_rollback(True)

    assert not Customer.objects.exists()
    assert not connection.in_atomic_block


@pytest.mark.parametrize("reason", ["inactive", "staff", "not_reported"])
def test_update_of_a_held_customer_keeps_them_held(
    user: User, track360_sandbox: SandboxServer, reason: str
) -> None:
    """Fields of a customer who is not to be reported yet wait with them, and go out with the report."""
    customers.report(user, tracking=TRACKING)
    Customer.objects.update(status="held", due_at=None, reason=reason)

    customers.update(user, salesStatus="VIP")
    delivery.drain()

    assert Customer.objects.values_list("status", "reason").get() == ("held", reason)
    assert sent(track360_sandbox) == []
    customers.report(user)
    delivery.drain()
    (record,) = sent(track360_sandbox)
    assert (record["salesStatus"], record["tracking_data"]) == ("VIP", TRACKING["tracking_data"])


def test_model_that_is_no_user_is_nobody(user: User) -> None:
    """A path that stops at another model must not turn its primary key into somebody's customer id."""
    with pytest.raises(PayloadError, match="Group"):
        customers.report(Group.objects.create(pk=user.pk, name="vip"))

    assert not Customer.objects.exists()


def test_signup_after_an_activity_keeps_the_value_the_host_passes(
    user: User, track360_sandbox: SandboxServer
) -> None:
    """Who was active before their signup was reported has an attribution that no signup froze."""
    activities.report("Bet", customer=user, value=5, currency="USD", eventid="1")
    delivery.drain()

    customers.report(user, tracking=TRACKING)
    delivery.drain()

    assert [record.get("tracking_data") for record in sent(track360_sandbox)] == [
        None,
        TRACKING["tracking_data"],
    ]


@pytest.mark.rowlocks
@pytest.mark.django_db(transaction=True)
def test_update_beside_an_uncommitted_report_keeps_its_fields(user: User) -> None:
    """Fields that arrive while the signup is being committed are added to it, not lost in its shadow."""
    reported, updating = threading.Event(), threading.Event()

    def sign_up() -> None:
        with transaction.atomic():
            customers.report(user, tracking=TRACKING)
            reported.set()
            updating.wait(20)
            # The update waits for this transaction by now, or will find it committed: right either way.
        connection.close()

    thread = threading.Thread(target=sign_up)
    thread.start()
    assert reported.wait(20)
    threading.Timer(0.5, updating.set).start()

    customers.update(user, salesStatus="VIP")

    thread.join()
    stored = Customer.objects.get()
    assert (stored.fields, stored.tracking) == ({"salesStatus": "VIP"}, TRACKING)
