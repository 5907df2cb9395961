"""The admin, by real requests: who sees what, what it says, and the two things a person may decide."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.db.models import Q
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from example_project.cashier.models import Account, Deposit
from example_project.cashier.track360 import DepositActivity
from tests.rows import make_activities, make_customer
from track360_django import activities, admin, customers, delivery
from track360_django.db.clock import Now
from track360_django.delivery import breaker
from track360_django.models import Activity, Customer, Endpoint, EndpointName, Lane, Status
from track360_django.sandbox.server import SandboxServer
from track360_django.testing import TOKEN

pytestmark = pytest.mark.django_db

MODELS = ("customer", "activity", "lane", "endpoint")


def staff(*permissions: str) -> Client:
    """Log a member of staff in who has these permissions only."""
    user = User.objects.create(username="operator", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


def viewer() -> Client:
    """Log a member of staff in who may look at everything."""
    return staff(*(f"view_{model}" for model in MODELS))


def actor() -> Client:
    """Log a member of staff in who may requeue and resume, too."""
    return staff(*(f"{verb}_{model}" for model in MODELS for verb in ("view", "change")))


def listing(model: str) -> str:
    """Return the path of a model's list."""
    return reverse(f"admin:track360_django_{model}_changelist")


def detail(record: Customer | Activity | Lane | Endpoint) -> str:
    """Return the path of a record's page."""
    return reverse(f"admin:track360_django_{record._meta.model_name}_change", args=[record.pk])


def text_of(answer: Any) -> str:
    """Return a page as text."""
    assert answer.status_code == 200
    text: str = answer.content.decode()
    return text.replace("&#x27;", "'")


def act(client: Client, model: str, action: str, *pks: int) -> Any:
    """Choose rows of a list and an action; follow to the page that tells what came of it."""
    form = {"action": action, "_selected_action": [str(pk) for pk in pks]}
    return client.post(listing(model), form, follow=True)


def make_rows() -> list[Customer | Activity | Lane | Endpoint]:
    """Make one row of each model."""
    customer = make_customer("c1")
    (activity,) = make_activities(customer, 1)
    lane = Lane.objects.create(brand="default", number=0)
    endpoint = Endpoint.objects.create(brand="default", name=EndpointName.CUSTOMERS)
    return [customer, activity, lane, endpoint]


def kill(*records: Customer | Activity, reason: str = "http_422") -> None:
    """Make records dead."""
    for record in records:
        rows = type(record)._default_manager.filter(pk=record.pk)
        rows.update(status=Status.DEAD, due_at=None, reason=reason, error="HTTP 422: Track360 refused it.")


def pause(reason: str = "http_401", minutes: int = 5) -> Endpoint:
    """Pause the endpoint of customers."""
    endpoint, _ = Endpoint.objects.get_or_create(brand="default", name=EndpointName.CUSTOMERS)
    breaker.pause(endpoint, timedelta(minutes=minutes), reason=reason, error="HTTP 401: no.")
    return endpoint


@pytest.mark.parametrize("log_in", [viewer, actor], ids=["view", "change"])
def test_staff_with_permission_sees_every_list_and_page(log_in: Callable[[], Client]) -> None:
    """Who may view sees the lists and the pages of all four models."""
    client = log_in()
    rows = make_rows()

    statuses = [client.get(path).status_code for path in (*map(listing, MODELS), *map(detail, rows))]

    assert statuses == [200] * 8


def test_superuser_sees_every_list_and_page(admin_client: Client) -> None:
    """A superuser sees what everybody sees who may view."""
    rows = make_rows()

    statuses = [admin_client.get(path).status_code for path in (*map(listing, MODELS), *map(detail, rows))]

    assert statuses == [200] * 8


def test_staff_without_permission_sees_nothing() -> None:
    """Who has no permission finds neither the lists, nor the pages, nor a word of them on the index."""
    client = staff()
    rows = make_rows()

    statuses = [client.get(path).status_code for path in (*map(listing, MODELS), *map(detail, rows))]

    assert statuses == [403] * 8
    assert "Track360" not in text_of(client.get(reverse("admin:index"))).replace("track360-django", "")


@pytest.mark.parametrize("model", MODELS)
def test_superuser_can_neither_add_nor_change_nor_delete(admin_client: Client, model: str) -> None:
    """Nobody edits delivery state by hand, whatever their permissions."""
    row = next(row for row in make_rows() if row._meta.model_name == model)
    before = type(row)._default_manager.values().get()
    page = detail(row)

    statuses = [
        admin_client.get(listing(model) + "add/").status_code,
        admin_client.post(page, {"brand": "other", "status": "delivered"}).status_code,
        admin_client.post(page.replace("change", "delete"), {"post": "yes"}).status_code,
    ]

    assert statuses == [403, 403, 403]
    assert type(row)._default_manager.values().get() == before
    assert '<input type="submit"' not in text_of(admin_client.get(page))


def test_every_column_is_shown_or_left_out_on_purpose(admin_client: Client) -> None:
    """A column that is added to a record has to be shown, or named here with its reason."""
    left_out = {
        "id",  # the database's own
        "fields",  # may hold personal data: its names are shown
        "tracking",  # shown as attribution
        "unattributed_reason",  # the same
        "first_touch",  # shown as touches
        "last_touch",  # the same
        "error",  # shown as last_error
        "body",  # shown as content
        "customer",  # shown as owner
    }

    for page, model in ((admin.CustomerAdmin, Customer), (admin.ActivityAdmin, Activity)):
        shown = {name for _, options in page.fieldsets for name in options["fields"]}
        assert {field.name for field in model._meta.concrete_fields} - shown <= left_out
    assert apps.get_app_config("track360_django").verbose_name == "Track360"


def test_customer_page_shows_the_names_of_fields_and_no_values(admin_client: Client) -> None:
    """Additional fields may be personal data: the admin says which there are."""
    customer = customers.report("c1", tracking={"tracking_data": "2001_1000_abcdefg"}, phone="+356-2100-0000")

    page = text_of(admin_client.get(detail(customer)))

    assert "phone" in page
    assert "+356-2100-0000" not in page
    assert "tracking_data=2001_1000_abcdefg" in page


def test_pages_show_neither_token_nor_person(admin_client: Client, track360_sandbox: SandboxServer) -> None:
    """Neither the brand token nor a name reaches a page, even after a refusal that repeats them."""
    user = User.objects.create(username="zephyrine", first_name="Zephyrine", last_name="Quux")
    customer = customers.report(user)
    body = f"token {TOKEN} of Zephyrine Quux is wrong"
    track360_sandbox.fail(status=401, body=body, times=1)
    delivery.drain()
    endpoint = Endpoint.objects.get(name=EndpointName.CUSTOMERS)

    paths = (*map(listing, MODELS), detail(customer), detail(endpoint))
    pages = "".join(text_of(admin_client.get(path)) for path in paths)

    assert "[removed]" in pages
    for secret in (TOKEN, "Zephyrine", "Quux"):
        assert secret not in pages


def test_values_from_outside_are_escaped(admin_client: Client) -> None:
    """A tracking value, an event id and an answer of the API are text, never markup."""
    evil = "<script>alert(1)</script>"
    customer = customers.report("c1", tracking={"tracking_data": evil})
    activity = activities.report("Bet", customer=customer, value=Decimal(1), currency="USD", eventid=evil)
    kill(customer, activity)
    Customer.objects.update(error=evil)

    paths = (listing("customer"), listing("activity"), detail(customer), detail(activity))
    pages = "".join(text_of(admin_client.get(path)) for path in paths)

    assert evil not in pages
    assert "&lt;script&gt;" in pages


def test_held_activity_says_what_it_waits_for(admin_client: Client) -> None:
    """A held activity names the acceptance of its customer, and the customer's own trouble."""
    customer = make_customer("c1")
    make_activities(customer, 1)
    kill(customer)

    page = text_of(admin_client.get(listing("activity")))

    assert "Waits until its customer is accepted, who is dead: Track360 refused it (HTTP 422)." in page
    assert "Requeue the customer." in page


def test_dead_record_says_why_and_what_to_do(admin_client: Client) -> None:
    """A dead record names the cause, the way out and the last error."""
    customer = make_customer("c1")
    kill(customer, reason="too_old")

    page = text_of(admin_client.get(detail(customer)))

    assert (
        "Dead: Track360 did not accept it within MAX_AGE_DAYS. Correct what the error names, then requeue it."
        in page
    )
    assert "HTTP 422: Track360 refused it." in page


def test_failed_record_says_when_it_is_tried_next(
    admin_client: Client, track360_sandbox: SandboxServer
) -> None:
    """A record between two attempts shows the reason of the last and the time of the next."""
    track360_sandbox.fail(status=503, times=1)
    customer = make_customer("c1")
    delivery.drain()
    customer.refresh_from_db()

    page = text_of(admin_client.get(detail(customer)))

    assert "Attempt 1 failed: Track360 could not take it (HTTP 503)." in page
    assert f"Next attempt at {customer.due_at:%Y-%m-%d %H:%M:%S} UTC." in page


def test_record_of_a_paused_endpoint_says_until_when(admin_client: Client) -> None:
    """A record whose endpoint is paused names the pause, not a time of its own."""
    customer = make_customer("c1")
    endpoint = pause()

    record_page = text_of(admin_client.get(detail(customer)))
    endpoint_page = text_of(admin_client.get(listing("endpoint")))

    until = f"paused until {endpoint.paused_until:%Y-%m-%d %H:%M:%S} UTC"
    assert f"Waits for its endpoint, which is {until}." in record_page
    assert until.capitalize()[:12] in endpoint_page
    assert (
        "Compare BRAND_TOKEN with Brand Settings (API guide, Authentication), then resume it."
        in endpoint_page
    )


def test_lane_that_lost_its_worker_says_so(admin_client: Client) -> None:
    """A lane tells whether it is free, delivered, or left behind."""
    for number, owner in enumerate(["", "web1:7:a", "web2:8:b"]):
        Lane.objects.create(brand="default", number=number, owner=owner)
    Lane.objects.filter(number=1).update(leased_until=Now() + timedelta(minutes=1))
    Lane.objects.filter(number=2).update(leased_until=Now() - timedelta(minutes=1))

    page = text_of(admin_client.get(listing("lane")))

    assert "Free." in page
    assert "The worker web1:7:a delivers this lane." in page
    assert "The worker web2:8:b stopped without returning the lane." in page


@pytest.mark.parametrize(
    ("model", "query", "expected"),
    [
        pytest.param("customer", {"q": "c1"}, {"c1"}, id="customer-id"),
        pytest.param("customer", {"q": "c"}, set(), id="part-of-an-id"),
        pytest.param("customer", {"status": "dead"}, {"c2"}, id="customer-status"),
        pytest.param("customer", {"reason": "too_old"}, {"c2"}, id="customer-reason"),
        pytest.param("customer", {"brand": "elsewhere"}, set(), id="brand"),
        pytest.param("activity", {"q": "c1-0"}, {"c1-0"}, id="event-id"),
        pytest.param("activity", {"q": " c2 "}, {"c2-0", "c2-1"}, id="events-of-a-customer"),
        pytest.param("activity", {"q": "c"}, set(), id="part-of-an-event-id"),
        pytest.param("activity", {"eventname": "Bet"}, {"c1-0", "c1-1", "c2-0", "c2-1"}, id="event-name"),
        pytest.param("activity", {"eventname": "GGR"}, set(), id="other-event-name"),
        pytest.param("activity", {"changed_at__isempty": "0"}, {"c1-1"}, id="changed"),
    ],
)
def test_search_and_filters_find_what_they_name(
    admin_client: Client, model: str, query: dict[str, str], expected: set[str]
) -> None:
    """Whole ids find their records; filters narrow by status, brand, event name, reason and change."""
    for customer in (make_customer("c1"), make_customer("c2")):
        make_activities(customer, 2)
    kill(Customer.objects.get(customer_id="c2"), reason="too_old")
    Activity.objects.filter(eventid="c1-1").update(changed_at=Now())

    answer = admin_client.get(listing(model), query)

    name = "customer_id" if model == "customer" else "eventid"
    assert {getattr(row, name) for row in answer.context["cl"].result_list} == expected


def test_filters_offer_what_there_is(admin_client: Client) -> None:
    """The filters list the brands, event names and reasons of the tables."""
    customer = make_customer("c1")
    for eventname in ("GGR", "Deposit"):
        activities.report(eventname, customer=customer, value=Decimal(1), currency="USD", eventid=eventname)
    kill(Activity.objects.get(eventname="GGR"))
    Lane.objects.create(brand="elsewhere", number=0)

    specs = admin_client.get(listing("activity")).context["cl"].filter_specs

    offered = {spec.title: [str(name) for _, name in spec.lookup_choices] for spec in specs[1:4]}
    assert offered == {
        "brand": ["default", "elsewhere"],
        "event name": ["Deposit", "GGR"],
        "reason": ["http_422"],
    }


def test_link_from_a_customer_lists_their_activities(admin_client: Client) -> None:
    """The customer's page leads to the customer's activities and to no others."""
    for customer in (make_customer("c1"), make_customer("c2")):
        make_activities(customer, 1)
    page = text_of(admin_client.get(detail(Customer.objects.get(customer_id="c1"))))
    link = f"{listing('activity')}?customer__id__exact={Customer.objects.get(customer_id='c1').pk}"

    answer = admin_client.get(link)

    assert link in page
    assert [row.eventid for row in answer.context["cl"].result_list] == ["c1-0"]


@pytest.mark.parametrize("model", ["customer", "activity"])
def test_list_of_many_rows_takes_as_many_queries_as_of_one(admin_client: Client, model: str) -> None:
    """The number of queries doesn't grow with the rows, and none counts the whole table."""
    make_activities(make_customer("c0"), 1)
    with CaptureQueriesContext(connection) as few:
        admin_client.get(listing(model))
    for number in range(1, 10):
        make_activities(make_customer(f"c{number}"), 1)

    with CaptureQueriesContext(connection) as many:
        admin_client.get(listing(model))

    assert len(many) == len(few)
    counts = [query["sql"] for query in many if "COUNT(" in query["sql"]]
    assert counts
    assert all(f"LIMIT {admin.MAX_LISTED}" in sql for sql in counts)


def test_requeue_by_who_may_change_sends_the_dead_record(
    track360_sandbox: SandboxServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Requeued, a dead customer and a dead activity arrive; who did it is logged."""
    client = actor()
    customer = make_customer("c1")
    delivery.drain()
    first, second = make_activities(customer, 2)
    kill(first, second)
    caplog.set_level(logging.INFO)

    page = text_of(act(client, "activity", "requeue", first.pk))
    delivery.drain()

    assert "1 dead record was requeued." in page
    assert [record["eventid"] for record in track360_sandbox.store.activities()] == [first.eventid]
    user = User.objects.get(username="operator")
    assert f"requeued activity: 1, by user {user.pk}." in caplog.text


def test_requeue_of_a_dead_customer_releases_its_activities(track360_sandbox: SandboxServer) -> None:
    """After the customer is requeued, what waited for them follows."""
    client = actor()
    track360_sandbox.fail(endpoint="customers", status=422, times=1)
    customer = make_customer("c1")
    make_activities(customer, 2)
    delivery.drain()

    act(client, "customer", "requeue", customer.pk)
    delivery.drain()

    assert len(track360_sandbox.store.activities()) == 2


def test_requeue_of_living_records_changes_nothing() -> None:
    """What isn't dead is left alone, and the page says so."""
    client = actor()
    customer = make_customer("c1")
    before = Customer.objects.values().get()

    page = text_of(act(client, "customer", "requeue", customer.pk))

    assert "None of the chosen records is dead. Nothing was requeued." in page
    assert Customer.objects.values().get() == before


def test_requeue_of_everything_listed_takes_more_than_one_page() -> None:
    """Choosing all pages requeues all of them, by the filters of the list."""
    client = actor()
    kill(*(make_customer(f"c{number}") for number in range(60)))
    form = {
        "action": "requeue",
        "select_across": "1",
        "_selected_action": [str(Customer.objects.latest("pk").pk)],
    }

    client.post(listing("customer") + "?status=dead", form)

    assert not Customer.objects.filter(status=Status.DEAD).exists()


@pytest.mark.parametrize(
    ("model", "action"), [("customer", "requeue"), ("activity", "requeue"), ("endpoint", "resume")]
)
def test_actions_without_change_permission_do_nothing(model: str, action: str) -> None:
    """Who may only view is offered no action, and a forged form changes nothing."""
    client = viewer()
    customer = make_customer("c1")
    kill(customer, *make_activities(customer, 1))
    pause()
    tables = (Customer, Activity, Endpoint)
    before = [list(table._default_manager.values()) for table in tables]

    offered = text_of(client.get(listing(model)))
    act(
        client,
        model,
        action,
        *apps.get_model("track360_django", model)._default_manager.values_list("pk", flat=True),
    )

    assert 'name="action"' not in offered
    assert [list(table._default_manager.values()) for table in tables] == before


def test_resume_tries_a_paused_endpoint_now(track360_sandbox: SandboxServer) -> None:
    """A resumed endpoint takes its records at once instead of after the pause."""
    client = actor()
    make_customer("c1")
    endpoint = pause(minutes=60)
    delivery.drain()
    assert track360_sandbox.store.customer("c1") is None

    page = text_of(act(client, "endpoint", "resume", endpoint.pk))
    delivery.drain()

    assert "1 endpoint is being tried now." in page
    assert track360_sandbox.store.customer("c1") is not None


def test_resume_of_an_open_endpoint_changes_nothing() -> None:
    """An endpoint that is open stays as it is, and the page says so."""
    client = actor()
    endpoint = Endpoint.objects.create(brand="default", name=EndpointName.CUSTOMERS)

    page = text_of(act(client, "endpoint", "resume", endpoint.pk))

    assert "None of the chosen endpoints is paused." in page


# Deposits that could not be written down: their dead records stand for them until the row is corrected.


def make_quarantined(user: User) -> tuple[Deposit, Activity]:
    """Complete a deposit whose currency can't be reported; return it and the dead record."""
    account = Account.objects.create(user=user, currency="US")
    deposit = Deposit.objects.create(account=account, amount=Decimal("5.00"), currency="??")
    deposit.complete()
    return deposit, Activity.objects.get(status=Status.DEAD)


def test_requeue_after_the_row_was_corrected_delivers_the_activity(track360_sandbox: SandboxServer) -> None:
    """A deposit that could not be written down arrives once its row is right and a person requeues it."""
    client = actor()
    deposit, dead = make_quarantined(User.objects.create(username="alex"))
    Deposit.objects.filter(pk=deposit.pk).update(currency="USD")

    page = text_of(act(client, "activity", "requeue", dead.pk))
    delivery.drain()

    assert "1 dead record was requeued." in page
    assert [record["eventid"] for record in track360_sandbox.store.activities()] == [deposit.reference]
    assert not Activity.objects.filter(~Q(status=Status.DELIVERED)).exists()


def test_requeue_before_the_row_was_corrected_keeps_the_record_dead() -> None:
    """A deposit that still can't be written down stays dead, with its reason, and the page says so."""
    client = actor()
    _, dead = make_quarantined(User.objects.create(username="alex"))

    page = text_of(act(client, "activity", "requeue", dead.pk))

    dead.refresh_from_db()
    assert "Records that still can't be reported: 1." in page
    assert (dead.status, dead.reason) == (Status.DEAD, "invalid_currency")


def test_requeue_after_the_row_is_gone_says_so() -> None:
    """A record whose row was deleted names that as its reason."""
    client = actor()
    deposit, dead = make_quarantined(User.objects.create(username="alex"))
    deposit.delete()

    act(client, "activity", "requeue", dead.pk)

    dead.refresh_from_db()
    assert (dead.status, dead.reason) == (Status.DEAD, "row_gone")


def test_requeue_while_the_declaration_fails_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """A declaration that raises keeps its record dead and names itself, without the error's text."""
    client = actor()
    _, dead = make_quarantined(User.objects.create(username="alex"))

    def get_value(_self: DepositActivity, _row: Deposit) -> Decimal:
        message = "a secret of the row"
        raise LookupError(message)

    monkeypatch.setattr(DepositActivity, "get_value", get_value, raising=False)

    act(client, "activity", "requeue", dead.pk)

    dead.refresh_from_db()
    assert (dead.status, dead.reason) == (Status.DEAD, "declaration")
    assert dead.error == "DepositActivity raised LookupError for its row: correct it, then requeue."


def test_requeue_without_a_declaration_says_so(request: pytest.FixtureRequest) -> None:
    """A record whose declaration was removed from the project names that as its reason."""
    client = actor()
    _, dead = make_quarantined(User.objects.create(username="alex"))
    activities.unregister(Deposit, DepositActivity)
    request.addfinalizer(lambda: activities.register(Deposit)(DepositActivity))

    act(client, "activity", "requeue", dead.pk)

    dead.refresh_from_db()
    assert (dead.status, dead.reason) == (Status.DEAD, "declaration")


def test_requeue_after_the_row_lost_its_condition_says_so() -> None:
    """A record whose row no longer fulfils `when` names that as its reason."""
    client = actor()
    deposit, dead = make_quarantined(User.objects.create(username="alex"))
    Deposit.objects.filter(pk=deposit.pk).update(status=Deposit.Status.FAILED)

    act(client, "activity", "requeue", dead.pk)

    dead.refresh_from_db()
    assert (dead.status, dead.reason) == (Status.DEAD, "row_not_due")
