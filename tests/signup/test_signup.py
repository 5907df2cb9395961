"""Signups, whoever announces them: each makes one customer with the touch that brought them, or none at all."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from allauth.account.models import EmailAddress
from allauth.account.signals import email_confirmed, user_signed_up
from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection, transaction
from django.db.models import Model
from django.db.models.signals import post_init
from django.test import AsyncClient, Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from pytest_django import DjangoCaptureOnCommitCallbacks
from pytest_django import Settings as HostSettings

from tests.configuration import configure
from tests.host.people import Player, Trader
from tests.houses import Houses, host_of, open_houses
from tests.journeys import TRACKING_DATA, land, sign_up, sign_up_by_allauth
from tests.rows import overdue
from track360_django import activities, attribution, customers, delivery, signup
from track360_django.models import Activity, Customer
from track360_django.outbox import wakeup
from track360_django.sandbox.server import SandboxServer
from track360_django.signals import customer_signed_up

if TYPE_CHECKING:
    from example_project.servers import RedisServer

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.host.urls")]

ATTRIBUTED = {"tracking_data": TRACKING_DATA}


@pytest.fixture(autouse=True)
def _hash_passwords_fast(settings: HostSettings) -> None:
    """Spend no time on passwords that protect nothing."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def houses(settings: HostSettings) -> Iterator[Houses]:
    """Open three brands."""
    with open_houses(settings) as opened:
        yield opened


def join(client: Client, path: str = "join", username: str = "alex", **form: str) -> None:
    """Sign up at one of the host's small views."""
    assert client.post(f"/host/{path}/", {"username": username, **form}).status_code == 200


@contextmanager
def request_that_never_ends(rf: RequestFactory) -> Iterator[None]:
    """Serve a visitor's request, and die before its end."""
    token = attribution.serving.set(attribution.Touches(rf.post("/")))
    try:
        yield
    finally:
        attribution.serving.reset(token)


# The safety net.


def test_sign_up_without_an_auth_package_makes_a_customer(client: Client) -> None:
    """Django's own form is enough: the customer has the touch, and is due."""
    land(client)

    user = sign_up(client)

    customer = Customer.objects.get()
    assert (customer.customer_id, customer.user_pk) == (str(user.pk), str(user.pk))
    assert (customer.status, customer.source, customer.tracking) == ("pending", "auth", ATTRIBUTED)
    assert customer.due_at is not None
    assert customer.regtime == user.date_joined
    assert customer.unattributed_reason == ""
    assert customer.last_touch is not None
    assert customer.last_touch["params"] == ATTRIBUTED


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("atomic_requests", [False, True], ids=["autocommit", "atomic-requests"])
def test_sign_up_makes_a_customer_in_every_kind_of_transaction(
    client: Client, monkeypatch: pytest.MonkeyPatch, *, atomic_requests: bool
) -> None:
    """In autocommit and under ATOMIC_REQUESTS the customer is there, released, and attributed."""
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", atomic_requests)
    land(client)

    join(client)

    customer = Customer.objects.get()
    assert (customer.status, customer.tracking) == ("pending", ATTRIBUTED)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("atomic_requests", [False, True], ids=["autocommit", "atomic-requests"])
def test_request_that_fails_keeps_customer_and_user_together(
    monkeypatch: pytest.MonkeyPatch, *, atomic_requests: bool
) -> None:
    """A user who is rolled back leaves no customer; one who was committed before the error is one."""
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", atomic_requests)
    client = Client(raise_request_exception=False)

    status = client.post("/host/join-and-fail/", {"username": "alex"}).status_code

    assert status == 500
    assert User.objects.count() == (0 if atomic_requests else 1)
    assert [customer.status for customer in Customer.objects.all()] == ["pending"] * User.objects.count()


def test_user_rolled_back_within_the_request_is_no_customer(rf: RequestFactory) -> None:
    """A savepoint takes user and customer back together."""

    def refuse() -> None:
        with transaction.atomic():
            User.objects.create_user("alex")
            message = "refused"
            raise ValueError(message)

    with request_that_never_ends(rf), pytest.raises(ValueError, match="refused"):
        refuse()

    assert not Customer.objects.exists()


def test_async_sign_up_makes_a_customer() -> None:
    """An async view that creates a user is a signup like any other."""
    visitor = AsyncClient()
    async_to_sync(visitor.get)(f"/host/async-page/?tracking_data={TRACKING_DATA}")

    async_to_sync(visitor.post)("/host/async-join/", {"username": "alex"})

    customer = Customer.objects.get()
    assert (customer.status, customer.tracking) == ("pending", ATTRIBUTED)


@pytest.mark.parametrize(("mode", "value"), [("first", "a"), ("last", "b")])
def test_attribution_credits_the_touch_of_the_setting(
    client: Client, settings: HostSettings, mode: str, value: str
) -> None:
    """`ATTRIBUTION` chooses between first and last touch; both are kept."""
    configure(settings, ATTRIBUTION=mode)
    land(client, "a")
    land(client, "b")

    join(client)

    customer = Customer.objects.get()
    assert customer.tracking == {"tracking_data": value}
    assert customer.first_touch is not None
    assert customer.last_touch is not None
    assert (customer.first_touch["params"], customer.last_touch["params"]) == (
        {"tracking_data": "a"},
        {"tracking_data": "b"},
    )


def test_sign_up_after_the_session_was_lost_is_attributed(client: Client, settings: HostSettings) -> None:
    """The cookie alone attributes a signup."""
    land(client)
    del client.cookies[settings.SESSION_COOKIE_NAME]

    join(client)

    assert Customer.objects.get().tracking == ATTRIBUTED


def test_sign_up_with_a_forged_cookie_is_unattributed(client: Client) -> None:
    """Nobody can sign a touch but us."""
    client.cookies["track360"] = "eyJsYXN0Ijp7fX0:1uabcd:forged"

    join(client)

    customer = Customer.objects.get()
    assert (customer.tracking, customer.unattributed_reason) == ({}, "no_parameter")


def test_code_that_the_host_passes_itself_wins_over_the_touch(client: Client) -> None:
    """An explicit value counts more than the link, though the safety net was there first."""
    land(client)

    join(client, "join-by-code", code="typed-in")

    customer = Customer.objects.get()
    assert customer.tracking == {"tracking_data": "typed-in"}


def test_activity_that_came_before_its_customers_signup_is_delivered_after_it(
    client: Client, settings: HostSettings, track360_sandbox: SandboxServer
) -> None:
    """A customer id that was active before its user existed waits, and the signup attributes and releases it."""
    configure(settings, CUSTOMER_ID="username")
    activities.report("Deposit", customer="alex", value=5, currency="USD", eventid="1")
    land(client)

    join(client)
    delivery.drain()

    customer = track360_sandbox.store.customer("alex")
    assert customer is not None
    assert customer["tracking_data"] == TRACKING_DATA
    assert len(track360_sandbox.store.activities()) == 1
    assert Customer.objects.get().user_pk == str(User.objects.get().pk)


# Proxies and children of the user model.


@pytest.fixture
def traders() -> None:
    """Make the table of the user model's child, until the test is rolled back."""
    table = connection.ops.quote_name(Trader._meta.db_table)
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE {table} (user_ptr_id integer PRIMARY KEY, desk varchar(20) NOT NULL)")


@pytest.mark.usefixtures("traders")
@pytest.mark.parametrize("path", ["join-as-player", "join-as-trader"], ids=["proxy", "child"])
def test_sign_up_through_a_class_below_the_user_model_makes_one_customer(client: Client, path: str) -> None:
    """Django tells of a user who is saved as the class that the host wrote; it is a user all the same."""
    land(client)

    join(client, path)

    customer = Customer.objects.get()
    assert (customer.status, customer.source, customer.tracking) == ("pending", "auth", ATTRIBUTED)
    assert customer.user_pk == str(User.objects.get().pk)


def test_class_that_is_made_after_the_start_is_heard(rf: RequestFactory) -> None:
    """A proxy in a module that is imported late is no other user model."""
    late: Any = type(
        "LatePlayer",
        (User,),
        {"__module__": __name__, "Meta": type("Meta", (), {"proxy": True, "app_label": "people"})},
    )

    with request_that_never_ends(rf):
        late.objects.create(username="alex")

    assert Customer.objects.count() == 1


@pytest.mark.usefixtures("traders")
def test_child_that_a_known_user_gets_is_no_signup(client: Client) -> None:
    """Who has been there does not sign up by the link of today when the host adds a row to them."""
    user = User.objects.create_user("alex")
    land(client)

    join(client, "become-trader")

    assert User.objects.get().pk == user.pk
    assert not Customer.objects.exists()


def test_activation_through_a_proxy_releases(client: Client, settings: HostSettings) -> None:
    """Whoever is saved as a player is activated as a user."""
    configure(settings, REPORT_ON="activation")
    land(client)
    join(client, "join-as-player", asleep="yes")
    held = Customer.objects.get()
    player = Player.objects.get()
    player.is_active = True

    player.save()

    assert (held.status, held.reason) == ("held", "inactive")
    released = Customer.objects.get()
    assert (released.status, released.tracking) == ("pending", ATTRIBUTED)


# Those who are no customers.


def test_user_of_staff_is_no_customer(client: Client) -> None:
    """A colleague earns nobody a commission."""
    join(client, "join-as-staff")

    assert not Customer.objects.exists()


def test_user_promoted_in_the_same_request_is_no_customer(client: Client) -> None:
    """Who is staff when the request ends is no customer."""
    join(client, "join-and-be-promoted")

    assert not Customer.objects.exists()


def test_superuser_is_no_customer(rf: RequestFactory) -> None:
    """A superuser made while a request is served is no customer."""
    with request_that_never_ends(rf):
        User.objects.create_superuser("root")

    assert not Customer.objects.exists()


def test_user_made_in_the_admin_is_no_customer(admin_client: Client) -> None:
    """Staff who make a user in the admin have clicked a link themselves perhaps; it says nothing of the user."""
    land(admin_client)
    form = {"username": "alex", "password1": "a-long-password-1", "password2": "a-long-password-1"}

    answer = admin_client.post(reverse("admin:auth_user_add"), {**form, "usable_password": "true"})

    assert answer.status_code == 302
    assert User.objects.filter(username="alex").exists()
    assert not Customer.objects.exists()


def test_user_made_by_somebody_who_is_logged_in_is_no_customer(client: Client) -> None:
    """A user who makes another one signs nobody up."""
    client.force_login(User.objects.create_user("boss"))
    land(client)

    join(client)

    assert User.objects.filter(username="alex").exists()
    assert not Customer.objects.exists()


def test_user_whom_a_logged_in_person_invites_is_no_customer_of_their_link(client: Client) -> None:
    """A package that announces whom somebody else makes, over an API for instance, announces no signup of theirs."""
    client.force_login(User.objects.create_user("boss"))
    land(client)

    join(client, "invite")

    assert User.objects.filter(username="alex").exists()
    assert not Customer.objects.exists()


def test_own_signal_in_the_request_of_another_person_credits_nobody(client: Client) -> None:
    """The host says that it is a signup, and the link was clicked by somebody else."""
    User.objects.create_user("alex")
    client.force_login(User.objects.create_user("boss"))
    land(client)

    client.get("/host/announce/?username=alex")

    customer = Customer.objects.get()
    assert (customer.source, customer.tracking) == ("customer_signed_up", {})


def test_own_signal_after_the_login_of_the_new_user_is_attributed(client: Client) -> None:
    """Who was logged in before the signal is sent is the visitor."""
    user = User.objects.create_user("alex")
    land(client)
    client.force_login(user)

    client.get("/host/announce/?username=alex")

    assert Customer.objects.get().tracking == ATTRIBUTED


@pytest.mark.parametrize("mark", ["hijack_history", "loginas_from_user"])
@pytest.mark.parametrize("path", ["report", "report-visitor", "announce"])
def test_session_that_a_colleague_has_taken_over_credits_nobody(client: Client, path: str, mark: str) -> None:
    """Staff who act as a customer click links as themselves; so django-hijack and django-loginas mark a session."""
    client.force_login(User.objects.create_user("alex"))
    session = client.session
    session[mark] = ["1"]
    session.save()
    land(client, "clicked-by-staff")

    client.get(f"/host/{path}/?username=alex")

    assert Customer.objects.get().tracking == {}


@pytest.mark.parametrize("mark", ["is_hijacked", "is_impersonate"])
def test_user_as_whom_a_colleague_acts_credits_nobody(rf: RequestFactory, mark: str) -> None:
    """The middlewares of django-hijack and django-impersonate mark the user of such a request."""
    request = rf.get("/")
    user = request.user = User.objects.create_user("alex")
    touches = attribution.Touches(request)
    landing = attribution.capture(b"tracking_data=clicked-by-staff", ("tracking_data",), datetime.now(UTC))
    assert landing is not None
    touches.land(landing)
    setattr(request, "track360", touches)  # noqa: B010  what the middleware sets

    setattr(user, mark, True)
    customers.report(user, request=request)

    assert touches.last is not None
    assert Customer.objects.get().tracking == {}


def test_user_made_outside_a_request_is_no_customer() -> None:
    """Shell, imports and tasks report nobody by themselves."""
    User.objects.create_user("alex")

    assert not Customer.objects.exists()


def test_fixture_makes_no_customers(rf: RequestFactory, tmp_path: Path) -> None:
    """Raw rows are a copy of something, not signups, also when a request loads them."""
    fixture = tmp_path / "users.json"
    fields = {"username": "alex", "password": "!", "date_joined": "2025-07-21T08:46:00Z"}
    fixture.write_text(json.dumps([{"model": "auth.user", "pk": 7, "fields": fields}]))

    with request_that_never_ends(rf):
        call_command("loaddata", str(fixture), verbosity=0)

    assert User.objects.filter(pk=7).exists()
    assert not Customer.objects.exists()


def test_switched_off_package_writes_nothing(client: Client, settings: HostSettings) -> None:
    """`ENABLED = False` is complete, whichever signup it is."""
    configure(settings, ENABLED=False)
    sign_up(client)
    sign_up_by_allauth(Client(), "bo")

    assert User.objects.count() == 2
    assert not Customer.objects.exists()


def test_safety_net_can_be_left_out(client: Client, settings: HostSettings) -> None:
    """A host that names its sources gets no others."""
    configure(settings, SIGNUP_SOURCES=("allauth",))

    join(client)

    assert not Customer.objects.exists()


# A process that dies.


def test_sign_up_nobody_released_is_delivered_a_minute_later(
    rf: RequestFactory, track360_sandbox: SandboxServer
) -> None:
    """A row whose process died is held first, then due by itself, with its touch."""
    token = attribution.serving.set(attribution.Touches(request := rf.post("/")))
    touches = attribution.current()
    assert touches is not None
    landing = attribution.capture(
        f"tracking_data={TRACKING_DATA}".encode(), ("tracking_data",), datetime.now(UTC)
    )
    assert landing is not None
    touches.land(landing)
    user = User.objects.create_user("alex")
    attribution.serving.reset(token)
    assert request.method == "POST"

    before = delivery.drain()
    overdue(Customer)
    delivery.drain()

    assert before.requests == 0
    customer = track360_sandbox.store.customer(str(user.pk))
    assert customer is not None
    assert customer["tracking_data"] == TRACKING_DATA


def test_sign_up_nobody_released_is_not_delivered_before_its_minute(rf: RequestFactory) -> None:
    """Until the request would have ended the row is held, and due in a minute."""
    with request_that_never_ends(rf):
        User.objects.create_user("alex")

    customer = Customer.objects.get()
    assert customer.due_at is not None
    assert customer.status == "held"
    assert 50 < (customer.due_at - customer.created_at).total_seconds() < 70


def test_user_promoted_before_the_row_came_due_is_not_delivered(
    rf: RequestFactory, track360_sandbox: SandboxServer
) -> None:
    """A row that releases itself is judged again first."""
    with request_that_never_ends(rf):
        User.objects.create_user("alex")
    User.objects.update(is_staff=True)
    overdue(Customer)

    delivery.drain()

    assert track360_sandbox.store.log.entries() == ()
    customer = Customer.objects.get()
    assert (customer.status, customer.reason, customer.due_at) == ("held", "staff", None)


def test_user_deleted_before_the_row_came_due_is_not_delivered(
    rf: RequestFactory, track360_sandbox: SandboxServer
) -> None:
    """A user who is gone was no customer yet."""
    with request_that_never_ends(rf):
        User.objects.create_user("alex")
    User.objects.all().delete()
    overdue(Customer)

    delivery.drain()

    assert track360_sandbox.store.log.entries() == ()


class ReadFromReplica:
    """A host's router: what is read comes from a replica that is not there (yet)."""

    def db_for_read(self, model: type[Model], **hints: Any) -> str | None:
        """Read users from a replica, unless a row says where it comes from."""
        return "replica" if model is User and not hints.get("instance") else None

    def db_for_write(self, _: type[Model], **__: Any) -> str:
        """Write where everything is."""
        return "default"


def test_replica_that_lags_behind_loses_no_signup(
    client: Client, settings: HostSettings, track360_sandbox: SandboxServer
) -> None:
    """A user is looked for where they were written a moment ago."""
    settings.DATABASE_ROUTERS = ["tests.signup.test_signup.ReadFromReplica"]

    join(client)
    delivery.drain()

    assert len(track360_sandbox.store.snapshot().customers) == 1


# Activation.


def test_inactive_user_waits_for_activation(
    client: Client, settings: HostSettings, track360_sandbox: SandboxServer
) -> None:
    """With `REPORT_ON = "activation"` the touch is frozen at the signup and sent after `is_active` is saved."""
    configure(settings, REPORT_ON="activation")
    land(client)
    join(client, "join-inactive")
    held = Customer.objects.get()
    before = delivery.drain()

    land(client, "a-later-click")
    user = User.objects.get()
    user.is_active = True
    user.save()
    delivery.drain()

    assert (held.status, held.reason, held.due_at) == ("held", "inactive", None)
    assert before.requests == 0
    customer = track360_sandbox.store.customer(str(user.pk))
    assert customer is not None
    assert customer["tracking_data"] == TRACKING_DATA


def test_inactive_user_who_is_saved_again_still_waits(client: Client, settings: HostSettings) -> None:
    """Only activation releases."""
    configure(settings, REPORT_ON="activation")
    join(client, "join-inactive")

    User.objects.get().save()

    assert Customer.objects.get().status == "held"


def test_activation_that_is_rolled_back_releases_nothing(client: Client, settings: HostSettings) -> None:
    """The release belongs to the transaction that activates."""
    configure(settings, REPORT_ON="activation")
    join(client, "join-inactive")
    user = User.objects.get()
    user.is_active = True

    with transaction.atomic():
        user.save()
        transaction.set_rollback(True)

    assert Customer.objects.get().status == "held"


def test_colleague_who_is_activated_is_not_released(client: Client, settings: HostSettings) -> None:
    """Activation makes no customer of staff."""
    configure(settings, REPORT_ON="activation")
    join(client, "join-inactive")
    user = User.objects.get()
    user.is_active = user.is_staff = True

    user.save()

    assert Customer.objects.get().status == "held"


def test_inactive_user_is_a_customer_by_default(client: Client) -> None:
    """With `REPORT_ON = "signup"` nobody waits."""
    join(client, "join-inactive")

    assert Customer.objects.get().status == "pending"


def test_brand_resolver_that_needs_a_request_breaks_no_login(client: Client, settings: HostSettings) -> None:
    """Saving a user outside a signup asks the host's resolver nothing it can't answer."""
    sign_up(client)
    configure(settings, BRAND_RESOLVER=lambda request: request.get_host() and None)
    user = User.objects.get()

    user.save()

    assert (
        Client().post("/login/", {"username": "alex", "password": "a-long-and-unlikely-password"}).status_code
        == 302
    )


def test_activation_by_update_is_found_by_reconciliation(client: Client, settings: HostSettings) -> None:
    """`update()` tells nobody; the customer is released with the touch of the signup."""
    configure(settings, REPORT_ON="activation")
    land(client)
    join(client, "join-inactive")
    join(client, "join-inactive", "bo")
    User.objects.filter(username="alex").update(is_active=True)

    looked = signup.release_unnoticed(is_dry_run=True)
    statuses = list(Customer.objects.values_list("status", flat=True))
    released = signup.release_unnoticed()

    assert (looked, released, signup.release_unnoticed()) == (1, 1, 0)
    assert statuses == ["held", "held"]
    customer, other = Customer.objects.order_by("pk")
    assert (customer.status, customer.reason, customer.tracking) == ("pending", "", ATTRIBUTED)
    assert (other.status, other.reason) == ("held", "inactive")


def test_colleague_who_waits_is_not_released_by_reconciliation(
    client: Client, settings: HostSettings
) -> None:
    """Who was made staff meanwhile is no customer, activated or not."""
    configure(settings, REPORT_ON="activation")
    join(client, "join-inactive")
    User.objects.update(is_active=True, is_staff=True)

    assert signup.release_unnoticed() == 0
    assert Customer.objects.get().status == "held"


def test_more_waiting_customers_than_a_page_are_looked_at(settings: HostSettings) -> None:
    """Those who wait are read a page at a time, and the last page is not forgotten."""
    configure(settings, REPORT_ON="activation")
    users = User.objects.bulk_create(
        User(username=f"user-{number}", is_active=number == 1002) for number in range(1003)
    )
    Customer.objects.bulk_create(
        Customer(
            brand="default",
            customer_id=str(user.pk),
            user_pk=str(user.pk),
            lane=0,
            status="held",
            reason="inactive",
            due_at=None,
        )
        for user in users
    )

    assert signup.release_unnoticed() == 1
    assert Customer.objects.get(status="pending").user_pk == str(users[-1].pk)


def test_brand_that_does_not_wait_any_more_releases_those_who_wait(
    client: Client, settings: HostSettings
) -> None:
    """`REPORT_ON` that is set back to "signup" leaves nobody behind."""
    configure(settings, REPORT_ON="activation")
    join(client, "join-inactive")
    configure(settings, REPORT_ON="signup")

    assert signup.release_unnoticed() == 1


def test_login_asks_nothing_of_those_who_wait(settings: HostSettings) -> None:
    """A user who is saved without `is_active` was not activated: it costs the host no query."""
    configure(settings, REPORT_ON="activation")
    user = User.objects.create_user("alex")

    with CaptureQueriesContext(connection) as queries:
        user.save(update_fields=["last_login"])

    assert len([query for query in queries if "track360" in query["sql"]]) == 0


def test_unverified_user_waits_for_the_confirmation(client: Client, settings: HostSettings) -> None:
    """Where allauth lets nobody in before an address is confirmed, that is the activation."""
    configure(settings, REPORT_ON="activation")
    settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"
    land(client)
    user = sign_up_by_allauth(client)
    held = Customer.objects.get()

    user.save()
    still_held = Customer.objects.get()
    address = EmailAddress.objects.get()
    address.set_verified()
    email_confirmed.send(sender=EmailAddress, request=None, email_address=address)

    assert (held.status, held.reason, held.source, held.due_at) == ("held", "unverified", "allauth", None)
    assert still_held.status == "held"
    released = Customer.objects.get()
    assert (released.status, released.reason, released.tracking) == ("pending", "", ATTRIBUTED)


def test_unverified_user_nobody_parked_is_not_delivered(
    client: Client, settings: HostSettings, track360_sandbox: SandboxServer
) -> None:
    """A row that releases itself after its process died is judged again, and waits on."""
    configure(settings, REPORT_ON="activation")
    settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"
    sign_up_by_allauth(client)
    Customer.objects.update(reason="", due_at=datetime.now(UTC))
    overdue(Customer)

    delivery.drain()

    assert track360_sandbox.store.log.entries() == ()
    customer = Customer.objects.get()
    assert (customer.status, customer.reason) == ("held", "unverified")


def test_package_whose_table_is_not_there_costs_no_signup(
    client: Client, settings: HostSettings, caplog: pytest.LogCaptureFixture
) -> None:
    """A package that can't be asked knows nothing, and its query ruins nobody's transaction."""
    configure(settings, REPORT_ON="activation")
    settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {EmailAddress._meta.db_table} RENAME TO away")
    land(client)

    join(client)

    customer = Customer.objects.get()
    assert (customer.status, customer.tracking) == ("pending", ATTRIBUTED)
    assert "allauth.account can't be asked" in caplog.text


def test_verification_that_is_optional_holds_nobody(client: Client, settings: HostSettings) -> None:
    """Who is let in at once is a customer at once."""
    configure(settings, REPORT_ON="activation")
    settings.ACCOUNT_EMAIL_VERIFICATION = "optional"

    sign_up_by_allauth(client)

    assert Customer.objects.get().status == "pending"


def test_activation_of_one_brand_holds_nobody_of_another(client: Client, settings: HostSettings) -> None:
    """Each brand says itself when it reports."""
    brands = {"careful": {"REPORT_ON": "activation"}, "quick": {}}
    configure(settings, BRANDS=brands, BRAND_RESOLVER=lambda request: request and request.GET.get("brand"))

    for brand in brands:
        client.post(f"/host/join-inactive/?brand={brand}", {"username": brand})

    found = Customer.objects.values_list("brand", "status", "reason")
    assert sorted(found) == [("careful", "held", "inactive"), ("quick", "pending", "")]


def test_activation_between_the_look_and_the_parking_is_not_missed(
    client: Client, settings: HostSettings
) -> None:
    """A link in a mail may be opened before the request of the signup has ended."""
    configure(settings, REPORT_ON="activation")
    activated: list[int] = []

    def activate_meanwhile(instance: User, **_: Any) -> None:
        # The look at the end of the request has just read the user.
        if not activated and instance.pk and attribution.current() is None:
            activated.append(instance.pk)
            other = User.objects.get(pk=instance.pk)
            other.is_active = True
            other.save()

    post_init.connect(activate_meanwhile, sender=User)
    try:
        join(client, "join-inactive")
    finally:
        post_init.disconnect(activate_meanwhile, sender=User)

    assert activated
    assert Customer.objects.get().status == "pending"


def test_signal_does_not_hold_again_who_was_reported_by_a_call(settings: HostSettings) -> None:
    """`customers.report` reports whomever it is given, and a signal that comes later takes nobody back."""
    configure(settings, REPORT_ON="activation")
    user = User.objects.create_user("alex", is_active=False)
    customers.report(user)

    customer_signed_up.send(sender=User, user=user)

    assert Customer.objects.get().status == "pending"


def test_signup_that_waits_without_a_request_takes_the_row_of_an_early_activity(
    settings: HostSettings,
) -> None:
    """Somebody whose id was active first, and who signs up in a task, waits like everybody else."""
    configure(settings, REPORT_ON="activation", CUSTOMER_ID="username")
    activities.report("Deposit", customer="alex", value=5, currency="USD", eventid="1")
    user = User.objects.create_user("alex", is_active=False)

    customer_signed_up.send(sender=User, user=user)
    held = Customer.objects.get()
    user.is_active = True
    user.save()

    assert (held.status, held.reason, held.user_pk) == ("held", "inactive", str(user.pk))
    assert (held.source, held.due_at) == ("customer_signed_up", None)
    assert Customer.objects.get().status == "pending"


def test_activation_before_its_signup_is_announced_is_not_missed(settings: HostSettings) -> None:
    """A task may announce a user as it read them a while ago."""
    configure(settings, REPORT_ON="activation")
    user = User.objects.create_user("alex", is_active=False)
    User.objects.update(is_active=True)

    customer_signed_up.send(sender=User, user=user)

    assert Customer.objects.get().status == "pending"


# Brands.


def test_brand_that_is_on_in_a_project_that_is_off_hears_of_signups(houses: Houses) -> None:
    """A brand looks a setting up in its own dict first, `ENABLED` like any other."""
    houses.configure(ENABLED=False)
    houses.change("red", ENABLED=True)
    for name in ("red", "blue"):
        client = Client(headers=host_of(name))
        land(client)
        join(client, username=name)

    customer = Customer.objects.get()
    assert (customer.brand, customer.tracking) == ("red", ATTRIBUTED)


def test_brand_that_is_off_hears_of_no_signup_and_no_activation(houses: Houses) -> None:
    """Off, nothing is written down by itself, whoever notices it; on again, reconciliation finds who was activated."""
    houses.configure(REPORT_ON="activation")
    join(Client(headers=host_of("red")), "join-inactive")
    houses.change("red", ENABLED=False)

    join(Client(headers=host_of("red")), username="bo")
    alex = User.objects.get(username="alex")
    alex.is_active = True
    alex.save()
    while_off = list(Customer.objects.values_list("user_pk", "status"))
    houses.change("red", ENABLED=True)

    assert while_off == [(str(alex.pk), "held")]
    assert signup.release_unnoticed() == 1


def test_signal_with_a_request_of_its_own_is_that_requests_brands(houses: Houses, rf: RequestFactory) -> None:
    """A request that our middleware has not seen has a brand, too; its policy and its customer are the same one's."""
    houses.change("blue", REPORT_ON="activation")
    user = User.objects.create_user("alex", is_active=False)

    user_signed_up.send(sender=User, request=rf.get("/", headers=host_of("blue")), user=user)

    customer = Customer.objects.get()
    assert (customer.brand, customer.status, customer.reason) == ("blue", "held", "inactive")


@pytest.mark.parametrize("is_active", [True, False], ids=["due", "waiting"])
def test_own_signal_may_name_the_brand(houses: Houses, *, is_active: bool) -> None:
    """A task that announces a signup has no request that tells the brand."""
    houses.change("blue", REPORT_ON="activation")
    user = User.objects.create_user("alex", is_active=is_active)

    customer_signed_up.send(sender=User, user=user, brand="blue")

    customer = Customer.objects.get()
    assert (customer.brand, customer.status) == ("blue", "pending" if is_active else "held")


def test_own_signal_of_a_brand_that_is_not_there_is_told(
    houses: Houses, caplog: pytest.LogCaptureFixture
) -> None:
    """A misspelt brand costs the report, not the host's task."""
    customer_signed_up.send(sender=User, user=User.objects.create_user("alex"), brand="bleu")

    assert not Customer.objects.exists()
    assert "brand is not a brand of this host" in caplog.text


def test_resolver_that_fails_first_costs_no_attribution(houses: Houses) -> None:
    """Only a memory that can't be read is given up; any other error leaves what the browser remembers."""

    def resolve(request: Any) -> str:
        # A landing is told by its path, a signup once the view knows.
        return "red" if request.path == "/" else str(request.house)

    houses.configure(BRAND_RESOLVER=resolve)
    client = Client()
    land(client)

    join(client, "join-by-code-of-house", house="red")

    customer = Customer.objects.get()
    assert (customer.brand, customer.tracking) == ("red", ATTRIBUTED)


def test_staff_are_recognised_after_a_resolver_failed_once(houses: Houses, admin_client: Client) -> None:
    """Who is logged in can be read, whatever else failed."""
    asked: list[object] = []

    def resolve(request: object) -> str:
        asked.append(request)
        if len(asked) == 1:
            raise TimeoutError
        return "red"

    houses.configure(BRAND_RESOLVER=resolve)

    join(admin_client, "invite")

    assert asked
    assert not Customer.objects.exists()


# Announced signups.


def test_own_signal_without_a_user_breaks_no_page(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    """A mistake of the host's is told, and reports nobody."""
    assert client.get("/host/announce-nobody/").status_code == 200
    assert "without a user" in caplog.text
    assert not Customer.objects.exists()


def test_fault_at_an_activation_is_told_as_one(
    client: Client, settings: HostSettings, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody is told to report somebody who is written down."""
    configure(settings, REPORT_ON="activation")
    join(client, "join-inactive")
    user = User.objects.get()
    user.is_active = True
    settings.DATABASE_ROUTERS = ["tests.signup.test_signup.LoseCustomers"]

    user.save()

    assert "activation of user" in caplog.text
    assert "signup of user" not in caplog.text


def test_sign_up_by_allauth_makes_one_customer(client: Client) -> None:
    """The signal of django-allauth claims the row of the safety net."""
    land(client)

    user = sign_up_by_allauth(client)

    customer = Customer.objects.get()
    assert (customer.source, customer.tracking, customer.user_pk) == ("allauth", ATTRIBUTED, str(user.pk))
    assert customer.status == "pending"


def test_own_signal_with_the_request_makes_a_customer(client: Client) -> None:
    """A host without an auth package announces the signup itself."""
    user = User.objects.create_user("alex")
    land(client)

    client.get("/host/announce/?username=alex")

    customer = Customer.objects.get()
    assert (customer.source, customer.tracking) == ("customer_signed_up", ATTRIBUTED)
    assert customer.customer_id == str(user.pk)


def test_own_signal_without_a_request_makes_an_unattributed_customer() -> None:
    """Without a request there is a customer, and the reason why there is no touch."""
    customer_signed_up.send(sender=User, user=User.objects.create_user("alex"))

    customer = Customer.objects.get()
    assert (customer.tracking, customer.unattributed_reason) == ({}, "no_request")


def test_signal_of_a_package_in_the_request_of_a_colleague_makes_no_customer(
    rf: RequestFactory, admin_user: User
) -> None:
    """Who is made by staff, over an API for instance, has not signed up."""
    request = rf.post("/")
    request.user = admin_user

    user_signed_up.send(sender=User, request=request, user=User.objects.create_user("alex"))

    assert not Customer.objects.exists()


def test_own_signal_in_the_request_of_a_colleague_credits_nobody(admin_client: Client) -> None:
    """The host says that it is a signup, and the link was clicked by staff."""
    User.objects.create_user("alex")
    land(admin_client, "clicked-by-staff")

    admin_client.get("/host/announce/?username=alex")

    customer = Customer.objects.get()
    assert (customer.source, customer.tracking) == ("customer_signed_up", {})
    assert customer.unattributed_reason == "no_request"


def test_inactive_signup_without_a_request_waits_for_activation(settings: HostSettings) -> None:
    """A signup that a task announces is not lost for want of a request."""
    configure(settings, REPORT_ON="activation")
    user = User.objects.create(username="alex", is_active=False)

    customer_signed_up.send(sender=User, user=user)
    customer_signed_up.send(sender=User, user=user)
    held = Customer.objects.get()
    user.is_active = True
    user.save()

    assert (held.status, held.reason, held.due_at) == ("held", "inactive", None)
    assert (held.source, held.unattributed_reason) == ("customer_signed_up", "no_request")
    assert Customer.objects.get().status == "pending"


def test_customer_who_was_delivered_is_not_held_again(
    settings: HostSettings, track360_sandbox: SandboxServer
) -> None:
    """A customer whom Track360 has does not wait, whatever is announced of them."""
    user = User.objects.create_user("alex")
    customer_signed_up.send(sender=User, user=user)
    delivery.drain()
    configure(settings, REPORT_ON="activation")
    User.objects.update(is_active=False)

    customer_signed_up.send(sender=User, user=User.objects.get())

    assert Customer.objects.get().status == "delivered"


@pytest.mark.parametrize("report_on", ["signup", "activation"])
def test_signal_of_a_signup_that_is_rolled_back_leaves_nothing(
    rf: RequestFactory, settings: HostSettings, report_on: str
) -> None:
    """Packages send their signals inside of transactions that may fail afterwards."""
    configure(settings, REPORT_ON=report_on)

    with request_that_never_ends(rf), transaction.atomic():
        user = User.objects.create(username="alex", is_active=False)
        customer_signed_up.send(sender=User, user=user)
        transaction.set_rollback(True)

    assert not Customer.objects.exists()


def test_signal_while_the_session_store_is_down_makes_a_customer(
    client: Client, settings: HostSettings
) -> None:
    """Nobody can be recognised as logged in then, and the signup counts."""
    User.objects.create_user("alex")
    settings.SESSION_ENGINE = "tests.host.sessions"
    client.cookies["sessionid"] = "of-a-known-visitor"

    client.get("/host/announce/?username=alex")

    customer = Customer.objects.get()
    assert (customer.status, customer.source) == ("pending", "customer_signed_up")


def test_own_signal_for_staff_makes_no_customer() -> None:
    """The signal reports nobody whom the safety net would not."""
    customer_signed_up.send(sender=User, user=User.objects.create_user("alex", is_staff=True))

    assert not Customer.objects.exists()


def test_two_signals_for_one_user_make_one_customer(client: Client) -> None:
    """A second signal changes nothing: neither the touch nor the source."""
    land(client)
    sign_up_by_allauth(client)
    before = Customer.objects.values().get()
    land(client, "a-later-click")

    client.get("/host/announce/?username=alex")

    assert Customer.objects.values().get() == before


@pytest.mark.parametrize("path", ["report-visitor", "report", "announce"])
@pytest.mark.parametrize("is_delivered", [False, True], ids=["waiting", "delivered"])
def test_later_click_of_an_unattributed_customer_changes_nothing(
    client: Client, track360_sandbox: SandboxServer, path: str, *, is_delivered: bool
) -> None:
    """A signup without a touch is frozen, too: no affiliate can claim a customer afterwards."""
    sign_up(client)
    if is_delivered:
        delivery.drain()
    before = Customer.objects.values().get()

    land(client, "a-later-click")
    client.get(f"/host/{path}/?username=alex")

    assert Customer.objects.values().get() == before


def test_deposit_of_a_user_nobody_reported_credits_no_click_of_today(client: Client) -> None:
    """Who signed up before the package was installed belongs to no affiliate who sends them a link now."""
    user = User.objects.create_user("alex")
    client.force_login(user)
    land(client, "a-later-click")

    client.get("/host/pay/?username=alex")

    customer = Customer.objects.get()
    assert (customer.tracking, customer.status) == ({}, "pending")


@pytest.mark.parametrize("path", ["report", "pay"])
def test_report_by_staff_does_not_credit_the_link_that_staff_clicked(admin_client: Client, path: str) -> None:
    """Touches belong to the browser's person: somebody else's customer is not theirs."""
    User.objects.create_user("alex")
    land(admin_client, "clicked-by-staff")

    admin_client.get(f"/host/{path}/?username=alex")

    assert Customer.objects.get().tracking == {}


# Our faults.


def break_sql(user: User) -> str:
    """Be a `CUSTOMER_ID` that ruins its transaction."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT no_such_column FROM auth_user")
    return str(user.pk)


def tell_name(user: User) -> str:
    """Be a `CUSTOMER_ID` whose error gives a name away."""
    message = f"no customer number for {user.username}"
    raise LookupError(message)


@pytest.mark.parametrize(
    "customer_id",
    ["no_such_field", lambda _: "", break_sql, tell_name, lambda _: "x" * 300, lambda _: "a\x00b"],
    ids=["misspelt", "empty", "database-error", "telling-error", "too-long", "nul"],
)
@pytest.mark.parametrize("become", [sign_up, sign_up_by_allauth], ids=["django", "allauth"])
def test_fault_of_ours_costs_no_signup(
    client: Client,
    settings: HostSettings,
    caplog: pytest.LogCaptureFixture,
    become: Callable[[Client, str], User],
    customer_id: Any,
) -> None:
    """Whatever fails in our part, the user is signed up, and the log names no person."""
    configure(settings, CUSTOMER_ID=customer_id)

    user = become(client, "mr-secret")

    assert User.objects.get() == user
    assert not Customer.objects.exists()
    ours = [record for record in caplog.records if record.name.startswith("track360")]
    assert ours
    assert "secret" not in caplog.text


def test_fault_at_the_release_costs_no_page(
    client: Client, settings: HostSettings, caplog: pytest.LogCaptureFixture
) -> None:
    """An error after the view is logged without a name, and the row still releases itself."""
    settings.DATABASE_ROUTERS = ["tests.signup.test_signup.LoseUsers"]

    join(client, username="mr-secret")

    customer = Customer.objects.get()
    assert customer.status == "held"
    assert customer.due_at is not None
    assert any(record.name.startswith("track360") for record in caplog.records)
    assert "secret" not in caplog.text


class LoseUsers:
    """A host's router that fails where a user is looked up after the view."""

    def db_for_read(self, model: type[Model], **_: Any) -> str | None:
        """Fail for users."""
        return self._choose(model)

    def db_for_write(self, model: type[Model], **_: Any) -> str | None:
        """Fail for users."""
        return self._choose(model)

    def _choose(self, model: type[Model]) -> str | None:
        if model is User and attribution.current() is None:
            message = "mr-secret has no shard"
            raise LookupError(message)
        return None


class LoseCustomers:
    """A host's router that fails where customers are."""

    def db_for_write(self, model: type[Model], **_: Any) -> str | None:
        """Fail for customers."""
        if model is Customer:
            message = "no shard"
            raise LookupError(message)
        return None


# The wake-up.


@pytest.mark.parametrize("become", [sign_up, sign_up_by_allauth], ids=["django", "allauth"])
def test_sign_up_wakes_delivery_once(
    client: Client,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
    become: Callable[[Client], User],
) -> None:
    """A transaction with a signup, a release and two signals publishes one hint."""
    with django_capture_on_commit_callbacks() as callbacks:
        become(client)

    assert callbacks == [wakeup._call_of("default")]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("become", [sign_up, sign_up_by_allauth], ids=["django", "allauth"])
def test_sign_up_sends_one_message(
    client: Client, redis_server: RedisServer, become: Callable[[Client], User]
) -> None:
    """On a real broker, with real commits, one message says that there is work."""
    wakeup._breaker.close()
    redis_server.command("FLUSHALL")

    become(client)

    assert redis_server.command("LLEN", "celery").strip() == b":1"


def test_visitor_without_a_signup_wakes_nobody(
    client: Client, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    """Landings and pages publish nothing."""
    with django_capture_on_commit_callbacks() as callbacks:
        land(client)

    assert callbacks == []
    assert not Activity.objects.exists()


def test_inactive_signup_of_a_source_waits_without_the_safety_net(
    rf: RequestFactory, settings: HostSettings
) -> None:
    """A signup that only a signal announced keeps its touch until the user is activated."""
    configure(settings, REPORT_ON="activation", SIGNUP_SOURCES=["allauth"])
    request = rf.get("/", {"tracking_data": TRACKING_DATA})
    touches = attribution.Touches(request)
    landing = attribution.capture(
        f"tracking_data={TRACKING_DATA}".encode(), ("tracking_data",), datetime.now(UTC)
    )
    assert landing is not None
    touches.land(landing)
    setattr(request, "track360", touches)  # noqa: B010  what the middleware sets
    user = User.objects.create(username="alex", is_active=False)

    customer_signed_up.send(sender=User, user=user, request=request)
    signup.release(touches)

    held = Customer.objects.get()
    assert (held.status, held.reason, held.due_at) == ("held", "inactive", None)
    user.is_active = True
    user.save()
    released = Customer.objects.get()
    assert (released.status, released.tracking) == ("pending", {"tracking_data": TRACKING_DATA})


def test_sign_up_while_the_session_store_is_down_is_a_customer(
    client: Client, settings: HostSettings
) -> None:
    """A session that can't be read costs what it remembers, not the customer."""
    settings.SESSION_ENGINE = "tests.host.sessions"
    client.cookies["sessionid"] = "of-a-known-visitor"

    join(client)

    customer = Customer.objects.get()
    assert (customer.status, customer.source, customer.tracking) == ("pending", "auth", {})
