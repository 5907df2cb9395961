"""`manage.py track360 import`: files of customers and activities, read to the end whatever is in them."""

from __future__ import annotations

import fcntl
import io
import json
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from example_project.cashier.models import Account, Deposit
from example_project.processes import Process
from tests.configuration import configure
from tests.conftest import SpawnHost
from tests.pages import ROOT
from track360_django import activities, customers, delivery
from track360_django.history.file_import import lines, run
from track360_django.history.file_import.entries import Entry
from track360_django.history.file_import.journal import line_of
from track360_django.history.file_import.outcome import BadLine
from track360_django.history.stopping import Stop
from track360_django.models import Activity, Customer, Status
from track360_django.outbox import retention
from track360_django.sandbox.server import SandboxServer

pytestmark = pytest.mark.django_db

DEADLINE_SECONDS = 60
TOUCH = {"tracking_data": "2001_1000_abcdefg"}
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Return a function that writes a file: text as it is, mappings as JSONL."""

    def make(name: str, *content: str | dict[str, Any] | bytes) -> Path:
        path = tmp_path / name
        texts = [json.dumps(each) + "\n" if isinstance(each, dict) else each for each in content]
        path.write_bytes(b"".join(text if isinstance(text, bytes) else text.encode() for text in texts))
        return path

    return make


def track360(*words: str | Path) -> list[str]:
    """Import; return the lines that were printed."""
    out, err = io.StringIO(), io.StringIO()
    call_command("track360", "import", *map(str, words), stdout=out, stderr=err)
    return out.getvalue().splitlines()


def fail(*words: str | Path) -> tuple[list[str], CommandError]:
    """Import what needs a person; return the lines that were printed and the error."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.raises(CommandError) as caught:
        call_command("track360", "import", *map(str, words), stdout=out, stderr=err)
    return out.getvalue().splitlines(), caught.value


def bad_lines(path: Path) -> list[dict[str, Any]]:
    """Return what was noted of the bad lines of a file."""
    noted = path.with_name(f"{path.name}.bad.jsonl")
    return [json.loads(line) for line in noted.read_text().splitlines()]


def deposit(number: int, **fields: Any) -> dict[str, Any]:
    """Return an activity in the guide's field names."""
    given = {
        "eventname": "Deposit",
        "eventid": f"TX-{number}",
        "createtime": "2025-07-20 11:03",
        "customerid": "007",
        "Value": "250.00",
        "Currency": "USD",
    }
    return {name: value for name, value in (given | fields).items() if value is not None}


def bodies() -> list[dict[str, Any]]:
    """Return the bodies of all activities, oldest first."""
    return [json.loads(activity.body) for activity in Activity.objects.order_by("pk")]


# What is in a file arrives exactly.


def test_customers_and_activities_arrive_as_they_are_written(
    write: Write, track360_sandbox: SandboxServer
) -> None:
    """Customers go before activities, whatever the order of the files; each value is what the file says."""
    people = write(
        "customers.csv",
        "customerId,regtime,country,firstName,tracking_data,salesStatus\n",
        '007,2025-07-21 08:46,US,"Al ""Ace"", Jr",2001_1000_abcdefg,new\n',
        "42,2025-07-22,DE,,,\n",
    )
    events = write("activities.jsonl", deposit(1), deposit(2, customerid="42"))

    printed = track360(events, people)

    assert f"{people}: 2 customers read: 2 new, 0 changed, 0 known, 0 not reported" in printed
    assert delivery.drain().held == 0
    store = track360_sandbox.store
    calls = sorted(store.snapshot().customer_calls, key=lambda call: str(call.record["customerId"]))
    assert [dict(call.record) for call in calls] == [
        {
            "customerId": "007",
            "regtime": "2025-07-21 08:46",
            "country": "US",
            "firstName": 'Al "Ace", Jr',
            "salesStatus": "new",
            "tracking_data": "2001_1000_abcdefg",
        },
        {"customerId": "42", "regtime": "2025-07-22 00:00", "country": "DE"},
    ]
    arrived = sorted(store.activities("Deposit"), key=lambda each: str(each["eventid"]))
    assert [(each["eventid"], each["customerid"]) for each in arrived] == [
        ("TX-1", "007"),
        ("TX-2", "42"),
    ]
    assert list(people.parent.glob("*.progress")) == []


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ('"250.10"', "250.10"),
        ("250.1", "250.10"),
        ("0.1", "0.10"),
        ("12345678901234567890.12", "12345678901234567890.12"),
        ("1e3", "1000.00"),
        ("-3", "-3.00"),
    ],
)
def test_number_in_json_is_exact(written: str, expected: str, write: Write) -> None:
    """No number is read as a float, however many digits it has."""
    line = json.dumps(deposit(1, Value="?")).replace('"?"', written) + "\n"

    track360(write("activities.jsonl", line))

    assert bodies()[0]["Value"] == expected


def test_activities_come_as_csv_and_customers_as_jsonl(write: Write) -> None:
    """The content says what a file holds; an empty cell, null and an empty text are no value."""
    events = write(
        "a.csv",
        "eventname,createtime,customerid,GGR,Currency,Value\n",
        "DailyStats,2025-07-21,007,50.00,usd,\n",
    )
    people = write(
        "b.jsonl", {"customerId": "007", "country": None, "firstName": "", "vip": True, "level": 3}
    )

    track360(events, people)

    assert bodies() == [
        {
            "eventname": "DailyStats",
            "eventid": "DailyStats-2025-07-21-007-USD",
            "createtime": "2025-07-21",
            "customerid": "007",
            "GGR": "50.00",
            "Currency": "USD",
        }
    ]
    assert Customer.objects.get().fields == {"vip": True, "level": "3"}


def test_mark_of_the_byte_order_and_other_delimiters_are_read(write: Write) -> None:
    """What spreadsheets write is read."""
    path = write("c.csv", b"\xef\xbb\xbf", "customerId;country\r\n", "7;US\r\n", "\r\n", "8;DE")

    track360(path)

    rows = Customer.objects.order_by("customer_id").values_list("customer_id", "fields")
    assert list(rows) == [("7", {"country": "US"}), ("8", {"country": "DE"})]


def test_quoted_cell_may_run_over_lines(write: Write) -> None:
    """Line numbers stay right behind a cell with ends of lines in it."""
    path = write("c.csv", "customerId,note\n", '7,"one\r\ntwo\n\nthree"\n', "\n", '8,"x" y\n', "9,z\n")

    fail(path)

    assert Customer.objects.get(customer_id="7").fields == {"note": "one\r\ntwo\n\nthree"}
    assert Customer.objects.filter(customer_id="9").exists()
    assert [(bad["line"], bad["text"]) for bad in bad_lines(path)] == [(7, '8,"x" y')]


def test_lost_quotation_mark_costs_its_line_alone(write: Write) -> None:
    """A cell that is never closed doesn't swallow what is behind it, at the end of the file and far from it."""
    many = [f"{number},{'x' * 500}\n" for number in range(200)]
    path = write("c.csv", "customerId,note\n", 'a,"open\n', *many, 'b,"open\n', "c,closed\n")

    fail(path)

    assert [(bad["line"], bad["text"]) for bad in bad_lines(path)] == [(2, 'a,"open'), (203, 'b,"open')]
    assert Customer.objects.count() == 201


@pytest.mark.parametrize("closing", ['"fine"\n', 'fine",x\n', "fine\n"], ids=["quoted", "surplus", "never"])
def test_lost_quotation_mark_swallows_no_line_up_to_the_next_one(closing: str, write: Write) -> None:
    """Whatever the reader makes of the lines together: the first can't be read, those behind it can."""
    many = [f"{number},ok\n" for number in range(2, 500)]
    path = write("c.csv", "customerId,note\n", '1,"lost\n', *many, f"500,{closing}", "501,ok\n")

    _, error = fail(path)

    bad = [2, 501] if closing.endswith("x\n") else [2]
    assert [each["line"] for each in bad_lines(path)] == bad
    assert Customer.objects.count() == 501 - len(bad)
    assert "All other lines were read as they are" in str(error)


def test_cell_that_may_have_swallowed_lines_is_told(write: Write) -> None:
    """A well-formed record over several lines is taken as it is; a person is told where, and how many there are."""
    path = write(
        "c.csv",
        "customerId,country,note\n",
        '1,US,"hello\n',
        "2,US,ok\n",
        '3,US,"\n',
        '4,US,"two\nlines, as they are"\n',
        '5,US,"two\nlines"\n',
    )

    printed = track360(path)

    assert f"{path} has one record in lines 2 to 4: is a quotation mark missing there?" in printed
    assert [line for line in printed if "contains a line break and a ',': 2. A missing" in line]
    assert set(Customer.objects.values_list("customer_id", flat=True)) == {"1", "4", "5"}


def test_time_is_read_in_the_agreed_zone(write: Write, settings: Settings) -> None:
    """A time without a zone is one of `TIME_ZONE`, as on the wire; other spellings are converted."""
    configure(settings, TIME_ZONE="Europe/Berlin")
    people = write("c.csv", "customerId,regtime\n", "7,2025-07-21 08:46\n", "8,2025-07-21T08:46:10Z\n")
    events = write("a.jsonl", deposit(1), deposit(2, createtime="2025-07-20T11:03:59+00:00"))

    printed = track360(people, events, "--dry-run")

    found = [json.loads(line) for line in printed]
    assert [each["regtime"] for each in found[:2]] == ["2025-07-21 08:46", "2025-07-21 10:46"]
    assert [each["createtime"] for each in found[-2:]] == ["2025-07-20 11:03", "2025-07-20 13:03"]


def test_line_without_a_time_is_dated_and_told(write: Write) -> None:
    """The guide recommends a time; without one it is that of the import, and the person is told."""
    path = write("a.jsonl", deposit(1), deposit(2, createtime=None))

    printed = track360(path)

    assert (
        f"{path}: without a time, dated with the time of the import: 1 (API guide, Field definitions)"
        in printed
    )


def test_day_total_of_another_product_is_another_total(write: Write, settings: Settings) -> None:
    """Without an event id it is made of customer, day and product, under the agreed name of the field."""
    configure(settings, PRODUCT_FIELD="productLine")
    total = {"createtime": "2025-07-21", "eventid": None, "eventname": "GGR"}
    path = write(
        "a.jsonl", deposit(1, **total, productLine="Casino"), deposit(2, **total, productLine="Poker")
    )

    track360(path)

    assert [body["productLine"] for body in bodies()] == ["Casino", "Poker"]


def test_users_of_the_project_are_found_by_id(write: Write) -> None:
    """A customer who is a user is reported with what the user knows; an id in a file is explicit, staff or not."""
    alex = User.objects.create(username="alex", first_name="Alex")
    boss = User.objects.create(username="boss", is_staff=True)
    path = write("c.jsonl", {"customerId": str(alex.pk)}, {"customerId": boss.pk}, {"customerId": "9" * 30})

    printed = track360(path, "--dry-run")
    track360(path)

    assert [json.loads(line).get("firstName") for line in printed] == ["Alex", None, None]
    rows = {row.customer_id: row for row in Customer.objects.all()}
    assert rows[str(alex.pk)].user_pk == str(alex.pk)
    assert rows[str(alex.pk)].regtime == alex.date_joined
    assert {row.status for row in rows.values()} == {Status.PENDING}
    assert {row.source for row in rows.values()} == {"import"}
    assert rows["9" * 30].user_pk == ""


def test_ids_that_no_column_holds_cost_no_query_each(write: Write) -> None:
    """A file of other ids than the users' is read in few queries."""
    path = write("c.jsonl", *({"customerId": f"12386a7c-{number}"} for number in range(300)))

    with CaptureQueriesContext(connection) as queries:
        track360(path)

    assert Customer.objects.count() == 300
    assert len(queries) < 20


# Twice is once.


def test_second_import_sends_nothing(write: Write, track360_sandbox: SandboxServer) -> None:
    """Reading the same files again changes nothing, also after what was sent is pruned."""
    people = write("c.csv", "customerId,tracking_data,vip\n", "007,2001_1000_abcdefg,yes\n")
    events = write("a.jsonl", deposit(1))
    track360(people, events)
    delivery.drain()
    retention.prune(older_than=timedelta(0))

    printed = track360(people, events)

    assert f"{people}: 1 customers read: 0 new, 0 changed, 1 known, 0 not reported" in printed
    assert f"{events}: 1 activities read: 0 new, 0 changed, 1 known, 0 not reported" in printed
    assert delivery.drain().requests == 0


def test_customer_who_is_known_keeps_their_attribution(write: Write) -> None:
    """Tracking data is frozen with the signup; fields that differ are updated."""
    customers.report("7", tracking=TOUCH, vip="no")
    Customer.objects.update(status=Status.DELIVERED, accepted_version=1, due_at=None)
    path = write("c.jsonl", {"customerId": "7", "tracking_data": "other", "vip": "yes"})

    printed = track360(path)

    row = Customer.objects.get()
    assert (row.tracking, row.fields) == (TOUCH, {"vip": "yes"})
    assert (row.status, row.version) == (Status.PENDING, 2)
    assert f"{path}: 1 customers read: 0 new, 1 changed, 0 known, 0 not reported" in printed


@pytest.mark.parametrize("due_at", [None, datetime(2100, 1, 1, tzinfo=UTC)], ids=["inactive", "under-way"])
def test_signup_that_is_held_keeps_its_attribution(write: Write, due_at: datetime | None) -> None:
    """Frozen at the signup: a file releases the customer, and never gives them to another affiliate."""
    customers.report("7", tracking=TOUCH, source="allauth")
    Customer.objects.update(status=Status.HELD, reason="inactive", due_at=due_at)
    line = {"customerId": "7", "tracking_data": "other"}

    shown = track360(write("c.jsonl", line), "--dry-run")
    track360(write("c.jsonl", line))

    assert Customer.objects.get().tracking == TOUCH
    assert [json.loads(each)["tracking_data"] for each in shown] == [TOUCH["tracking_data"]]


def test_customer_who_was_active_before_is_released(write: Write) -> None:
    """Who was held because nobody had reported them gets what the file says, their registration included."""
    activities.report("Bet", customer="7", value=Decimal(1), currency="USD", eventid="b1")
    line = {"customerId": "7", "regtime": "2020-01-02 03:04", **TOUCH}

    shown = track360(write("c.jsonl", line), "--dry-run")
    track360(write("c.jsonl", line))

    row = Customer.objects.get()
    assert (row.status, row.source, row.tracking) == (Status.PENDING, "import", TOUCH)
    assert row.regtime == datetime(2020, 1, 2, 3, 4, tzinfo=UTC)
    assert [json.loads(each) for each in shown] == [line]


def test_customer_twice_in_a_file_is_one_with_the_last_fields(write: Write) -> None:
    """The first line registers, the others update."""
    path = write(
        "c.jsonl",
        {"customerId": "7", "vip": "no", "level": 1},
        {"customerId": "7", "vip": "yes"},
        {"customerId": "7", "vip": "yes"},
    )

    printed = track360(path)

    assert Customer.objects.get().fields == {"vip": "yes", "level": "1"}
    assert f"{path}: 3 customers read: 1 new, 1 changed, 1 known, 0 not reported" in printed


def test_event_id_with_other_content_is_flagged_and_listed(
    write: Write, track360_sandbox: SandboxServer
) -> None:
    """What Track360 has stays; a person is told which line says something else."""
    people = write("c.jsonl", {"customerId": "007"})
    track360(people, write("a.jsonl", deposit(1)))
    delivery.drain()
    again = write("b.jsonl", deposit(2), deposit(1, Value="999.00"))

    _, error = fail(again)

    assert "1, 1 of them with the eventid of another activity" in str(error)
    assert [(bad["line"], bad["reason"]) for bad in bad_lines(again)] == [(2, "other_content")]
    first = Activity.objects.get(eventid="TX-1")
    assert (first.status, json.loads(first.body)["Value"]) == (Status.DELIVERED, "250.00")
    assert first.changed_at is not None


def test_event_id_with_other_content_is_sent_again_where_that_is_agreed(
    write: Write, track360_sandbox: SandboxServer, settings: Settings
) -> None:
    """`CORRECTIONS="resend"`: the file corrects what was sent, under the same id."""
    configure(settings, CORRECTIONS="resend")
    track360(write("c.jsonl", {"customerId": "007"}), write("a.jsonl", deposit(1)))
    delivery.drain()
    again = write("b.jsonl", deposit(1, Value="999.00"))

    shown = track360(again, "--dry-run")
    printed = track360(again)

    assert [json.loads(each)["Value"] for each in shown] == ["999.00"]
    assert f"{again}: 1 activities read: 0 new, 1 changed, 0 known, 0 not reported" in printed
    assert Activity.objects.get().status == Status.PENDING


def test_other_content_under_one_id_is_never_overwritten(
    write: Write, track360_sandbox: SandboxServer
) -> None:
    """Who gives the listed line an id of its own, as the message says, has both deposits reported, each once."""
    path = write("a.jsonl", deposit(1, Value="100.00"), deposit(1, Value="200.00"))

    _, shown = fail(path, "--dry-run")
    _, error = fail(write("c.jsonl", {"customerId": "007"}), path)
    listed = json.loads(bad_lines(path)[0]["text"])
    track360(write("fixed.jsonl", {**listed, "eventid": "TX-2"}))
    delivery.drain()

    assert "1 of them with the eventid of another activity" in str(error)
    assert "1 of them with the eventid of another activity" in str(shown)
    sent = {each["eventid"]: each["Value"] for each in track360_sandbox.store.activities()}
    assert sent == {"TX-1": "100.00", "TX-2": "200.00"}
    assert Activity.objects.filter(changed_at=None).count() == 2


def test_unsent_record_of_the_host_is_never_overwritten(write: Write) -> None:
    """A file is no later truth than the host's own report, waiting or dead."""
    activities.report("Deposit", customer="007", value=Decimal(100), currency="USD", eventid="TX-1")
    activities.report("Deposit", customer="007", value=Decimal(100), currency="USD", eventid="TX-2")
    Activity.objects.filter(eventid="TX-2").update(status=Status.DEAD, due_at=None, reason="rejected")
    path = write("a.jsonl", deposit(1, Value="999.00"), deposit(2, Value="999.00"))

    fail(path)

    assert [bad["reason"] for bad in bad_lines(path)] == ["other_content"] * 2
    assert [body["Value"] for body in bodies()] == ["100.00", "100.00"]


def test_day_total_that_is_there_twice_is_listed(write: Write) -> None:
    """Without an event id, two lines of one customer and day are one total: nobody can tell which is right."""
    total = {"createtime": "2025-07-21", "eventid": None, "eventname": "GGR"}
    path = write("a.jsonl", deposit(1, **total, Value="50.00"), deposit(1, **total, Value="20.00"))

    fail(path)

    assert [body["Value"] for body in bodies()] == ["50.00"]
    assert [(bad["line"], bad["reason"]) for bad in bad_lines(path)] == [(2, "other_content")]


def test_agreed_correction_is_of_the_same_customer(write: Write, settings: Settings) -> None:
    """`CORRECTIONS="resend"` changes an activity, it never moves one to somebody else: that line is listed."""
    configure(settings, CORRECTIONS="resend")
    path = write("a.jsonl", deposit(1), deposit(1, customerid="008"), deposit(1, Value="300.00"))

    fail(path)

    assert [(body["customerid"], body["Value"]) for body in bodies()] == [("007", "300.00")]
    assert [(bad["line"], bad["reason"]) for bad in bad_lines(path)] == [(2, "other_content")]


def test_row_of_the_host_may_have_been_imported_before(write: Write) -> None:
    """An import is of no row: the row of the same deposit is the same activity, also for reconciliation."""
    made = Deposit.objects.create(
        account=Account.objects.create(user=User.objects.create(username="alex"), currency="USD"),
        amount=Decimal("5.00"),
        currency="USD",
    )
    line = deposit(1, eventid=made.reference, customerid=str(made.account.user_id), Value="5.00")
    track360(write("a.jsonl", line))

    made.complete()

    assert Activity.objects.get().status != Status.DEAD
    out = io.StringIO()
    call_command("track360", "reconcile", "--since", "7d", "--dry-run", stdout=out)
    assert "1 rows, 0 without a record" in out.getvalue()


# Who is unknown.


def test_activities_of_unknown_customers_are_held_and_counted(write: Write, settings: Settings) -> None:
    """An id that no user has waits; a user nobody reported is registered, or waits, as `UNKNOWN_CUSTOMERS` says."""
    alex = User.objects.create(username="alex")
    path = write("a.jsonl", deposit(1), deposit(2), deposit(3, customerid=str(alex.pk)))

    printed = track360(path)

    assert f"{path}: held until their customers are reported: 2 (UNKNOWN_CUSTOMERS)" in printed
    assert Customer.objects.get(customer_id="007").status == Status.HELD
    assert Customer.objects.get(customer_id=str(alex.pk)).status == Status.PENDING


# Bad lines.


BAD = [
    ('{"customerId": "7"', "malformed_line"),
    ("[1, 2]", "malformed_line"),
    ('{"customerId": "7", "customerId": "8"}', "malformed_line"),
    ('{"customerId": NaN}', "malformed_line"),
    ("[" * 5000, "malformed_line"),
    ('{"customerId": ' + "9" * 5000 + "}", "malformed_line"),
    (b'{"customerId": "\xe9"}', "malformed_line"),
    ('{"customerId": "' + "x" * lines.MAX_BYTES + '"}', "malformed_line"),
    ('{"country": "US"}', "missing_field"),
    ('{"customerId": ""}', "missing_field"),
    ('{"customerId": 1.5}', "invalid_field"),
    ('{"customerId": true}', "invalid_field"),
    ('{"customerId": "' + "x" * 256 + '"}', "invalid_field"),
    ('{"customerId": "a\\u0000b"}', "invalid_field"),
    ('{"customerId": "7", "CustomerID": "8"}', "misspelt_field"),
    ('{"customerId": "7", "regtime": "21.07.2025"}', "invalid_time"),
    ('{"customerId": "7", "regtime": "0001-01-01T00:00+14:00"}', "invalid_time"),
    ('{"customerId": "7", "regtime": 20250721}', "invalid_time"),
    ('{"customerId": "7", "regtime": 0}', "invalid_time"),
    ('{"customerId": "7", "regtime": false}', "invalid_time"),
    ('{"customerId": "7", "tracking_data": "' + "x" * 51 + '"}', "too_long"),
    ('{"customerId": "7", "tracking_data": 7}', "no_text"),
    ('{"customerId": "7", "tracking_data": "a\\nb"}', "control_character"),
    ('{"customerId": "7", "address": {"city": "Secretville"}}', "invalid_field"),
    ('{"customerId": "7", "eventname": "Deposit"}', "other_kind"),
]


@pytest.mark.parametrize(
    ("line", "reason"), BAD, ids=[f"{number}-{bad[1]}" for number, bad in enumerate(BAD)]
)
def test_bad_customer_is_set_aside_and_the_others_go_on(line: str | bytes, reason: str, write: Write) -> None:
    """The line, its number and the reason are noted, for its owner's eyes alone; nothing of it is printed."""
    path = write("c.jsonl", {"customerId": "ok-1"}, line, "\n", {"customerId": "ok-2"})

    printed, error = fail(path)

    assert set(Customer.objects.values_list("customer_id", flat=True)) == {"ok-1", "ok-2"}
    (bad,) = bad_lines(path)
    assert (bad["line"], bad["reason"]) == (2, reason)
    assert error.returncode == 1
    noted = path.with_name("c.jsonl.bad.jsonl")
    assert stat.S_IMODE(noted.stat().st_mode) == 0o600
    assert "Secretville" not in "\n".join([*printed, str(error), bad["message"]])


@pytest.mark.parametrize(
    "name",
    [
        " tracking_data",
        "tracking_data ",
        "TRACKING_DATA",
        "trackingData",
        "tracking-data",
        "\u00a0tracking_data",
    ],
    ids=ascii,
)
@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_other_spelling_of_the_tracking_parameter_is_refused(name: str, kind: str, write: Write) -> None:
    """As an additional field it would freeze the customer without their affiliate."""
    content = f"customerId,{name},note\n7,t-1,\n" if kind == "csv" else {"customerId": "7", name: "t-1"}
    path = write(f"c.{kind}", content)

    fail(path)

    (bad,) = bad_lines(path)
    assert bad["reason"] == "misspelt_field"
    assert "tracking_data" in bad["message"]
    assert ascii(name) in bad["message"]
    assert not Customer.objects.exists()


@pytest.mark.parametrize("name", ["tracking_data", "Tracking Data", "BTag", "b_tag "])
def test_other_tracking_parameter_than_the_agreed_one_is_refused(
    name: str, write: Write, settings: Settings
) -> None:
    """Where `btag` attributes, the guide's name is no additional field; neither is another spelling of `btag`."""
    configure(settings, TRACKING_PARAMS=("btag",))
    path = write("c.csv", f"customerId,{name}\n7,t-1\n")

    fail(path)

    assert bad_lines(path)[0]["reason"] == "misspelt_field"
    assert "btag" in bad_lines(path)[0]["message"]
    assert not Customer.objects.exists()


@pytest.mark.parametrize("name", ["Product", " product", "pro-duct"])
def test_other_spelling_of_the_product_field_is_refused(name: str, write: Write, settings: Settings) -> None:
    """Two products' totals of a day would be one total."""
    configure(settings, PRODUCT_FIELD="product")
    total = {"createtime": "2025-07-21", "eventid": None, "eventname": "GGR"}
    path = write("a.jsonl", deposit(1, **total, **{name: "Casino"}))

    fail(path)

    assert bad_lines(path)[0]["reason"] == "misspelt_field"
    assert not Activity.objects.exists()


@pytest.mark.parametrize("name", ["\ud800", "a\0b", "", "x" * 256], ids=ascii)
@pytest.mark.parametrize("kind", ["customers", "activities"])
def test_name_that_nothing_keeps_is_set_aside(name: str, kind: str, write: Write) -> None:
    """The line alone is bad; no table and no request sees it."""
    made = {"customers": {"customerId": "7"}, "activities": deposit(7)}[kind]
    good = {"customers": {"customerId": "8"}, "activities": deposit(8)}[kind]
    path = write("f.jsonl", {**made, name: "x"}, good)

    fail(path)

    assert [(bad["line"], bad["reason"]) for bad in bad_lines(path)] == [(1, "invalid_field")]
    assert Customer.objects.count() + Activity.objects.count() == (1 if kind == "customers" else 2)


def test_list_of_bad_lines_takes_what_has_no_utf8() -> None:
    """Half a surrogate pair in a message stops no import: it is spelt out, as JSON does."""
    bad = BadLine(Entry(1, 1, 9, "text", {}), "invalid_field", "the name \ud800")

    assert json.loads(line_of(bad))["message"] == "the name \ud800"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"Value": "1,250.00"}, "invalid_number"),
        ({"Value": True}, "invalid_number"),
        ({"Value": "9" * 39}, "invalid_number"),
        ({"Currency": "Dollar"}, "unknown_currency"),
        ({"createtime": "2025-02-30 10:00"}, "invalid_time"),
        ({"createtime": 0}, "invalid_time"),
        ({"createtime": False}, "invalid_time"),
        ({"createtime": []}, "invalid_time"),
        ({"eventid": None}, "no_eventid"),
        ({"eventid": 1.5}, "invalid_field"),
        ({"eventname": None}, "invalid_field"),
        ({"eventname": "x" * 101}, "invalid_field"),
        ({"customerid": None}, "missing_field"),
        ({"value": "250.00"}, "misspelt_field"),
        ({"details": ["a"]}, "invalid_field"),
    ],
    ids=str,
)
def test_bad_activity_is_set_aside_and_the_others_go_on(
    changes: dict[str, Any], reason: str, write: Write
) -> None:
    """Money is reported exactly or not at all."""
    path = write("a.jsonl", deposit(1), deposit(2, **changes), deposit(3))

    _, error = fail(path)

    assert [body["eventid"] for body in bodies()] == ["TX-1", "TX-3"]
    assert [(bad["line"], bad["reason"]) for bad in bad_lines(path)] == [(2, reason)]
    assert json.loads(bad_lines(path)[0]["text"]) == deposit(2, **changes)
    assert error.returncode == 1


def test_bad_lines_can_be_corrected_and_imported(write: Write) -> None:
    """The text that was set aside is a line of a file again; a list of before is replaced."""
    path = write("a.jsonl", deposit(1), deposit(2, Currency="Dollar"))
    fail(path)
    corrected = write("corrected.jsonl", bad_lines(path)[0]["text"].replace("Dollar", "USD"))

    track360(corrected)
    path.write_text(corrected.read_text())
    track360(path)

    assert [body["eventid"] for body in bodies()] == ["TX-1", "TX-2"]
    assert not path.with_name("a.jsonl.bad.jsonl").exists()


def test_csv_row_with_other_cells_than_the_header_is_set_aside(write: Write) -> None:
    """A row that was cut or shifted is not guessed at."""
    path = write("c.csv", "customerId,country\n", "7\n", "8,US,x\n", b"9,\xe9\n", "10,US\n")

    fail(path)

    assert [customer.customer_id for customer in Customer.objects.all()] == ["10"]
    assert [bad["line"] for bad in bad_lines(path)] == [2, 3, 4]
    assert bad_lines(path)[2]["text"] == "9,\\xe9"


# Wrong calls.


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("name,city\nAlex,Secretville\n", "not begin with a CSV header with a column customerId"),
        ("Alex,Secretville\n", "not begin with a CSV header with a column customerId"),
        ("customerId,customerId\n1,2\n", "a name twice"),
        ("customerId,\n1,2\n", "a column without a name"),
        ('[{"customerId": "7"}]', "jq -c"),
        ('{"name": "Secretville"}\n', "not begin with a JSON object with the field customerId"),
        ("\ufeffcustomerId\n7\n".encode("utf-16"), "UTF-16"),
        ("customerid,value,eventname,customerid\n", "a name twice"),
        (b"x" * (lines.ENDLESS_BYTES + 200_000), "no end within"),
    ],
    ids=["foreign", "headless", "twice", "nameless", "array", "objects", "utf-16", "activities", "endless"],
)
def test_file_that_holds_something_else_is_refused(content: str | bytes, told: str, write: Write) -> None:
    """Before anything is written, and without repeating what is in it."""
    path = write("c.txt", content)
    good = write("good.jsonl", {"customerId": "7"})

    _, error = fail(good, path)

    assert told in str(error)
    assert "Secretville" not in str(error)
    assert error.returncode == 2
    assert not Customer.objects.exists()


def test_file_that_is_not_there_is_a_wrong_call(tmp_path: Path, write: Write) -> None:
    """So is a folder, a file that is named twice, and a brand that there isn't."""
    path = write("c.jsonl", {"customerId": "7"})

    for words in ([tmp_path / "none.csv"], [tmp_path], [path, path], [path, "--brand", "other"]):
        _, error = fail(*words)
        assert error.returncode == 2


def test_empty_file_is_nothing_to_do(write: Write) -> None:
    """An export of a quiet day is no error."""
    assert track360(write("c.csv", ""), write("d.csv", "customerId\n"))
    assert not Customer.objects.exists()


def test_misspelt_column_is_told_for_each_row(write: Write) -> None:
    """A column that only looks like one of the guide's is money that nobody would count."""
    path = write("a.csv", "eventname,eventid,customerid,value\n", "Bet,1,7,5\n")

    _, error = fail(path)

    assert error.returncode == 1
    assert bad_lines(path)[0]["reason"] == "misspelt_field"


def test_customers_of_a_brand_are_its_own(write: Write, settings: Settings) -> None:
    """`--brand` says whose customers and activities a file holds."""
    configure(settings, BRANDS={"one": {}, "two": {}})
    people, events = write("c.jsonl", {"customerId": "007"}), write("a.jsonl", deposit(1))

    track360(people, events, "--brand", "two")

    assert Customer.objects.get().brand == "two"
    assert Activity.objects.get().brand == "two"


# Dry run, rate, progress.


def test_dry_run_prints_what_would_be_sent_and_writes_nothing(
    write: Write, track360_sandbox: SandboxServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it prints is what arrives when it is done in earnest."""
    alex = User.objects.create(username="alex", first_name="Alex")
    bob = User.objects.create(username="bob", first_name="Bob")
    rows = ("007,2001_1000_abcdefg,2025-01-02 03:04\n", f"{bob.pk},,\n")
    people = write("c.csv", "customerId,tracking_data,regtime\n", *rows)
    owners = {2: str(alex.pk), 3: str(alex.pk), 4: str(bob.pk)}
    theirs = [deposit(number, customerid=owner) for number, owner in owners.items()]
    events = write("a.jsonl", deposit(1), deposit(1), "no\n", *theirs)
    monkeypatch.setattr(run, "BATCH", 4)
    before = sorted(tmp_path.iterdir())
    out, err = io.StringIO(), io.StringIO()

    with CaptureQueriesContext(connection) as queries, pytest.raises(CommandError):
        call_command("track360", "import", str(people), str(events), "--dry-run", stdout=out, stderr=err)

    assert all(each["sql"].startswith("SELECT") for each in queries)
    assert sorted(tmp_path.iterdir()) == before
    assert not Customer.objects.exists()
    assert f"{events}, line 3: malformed_line" in err.getvalue()
    fail(people, events)
    delivery.drain()
    snapshot = track360_sandbox.store.snapshot()
    calls = sorted((*snapshot.customer_calls, *snapshot.activities), key=lambda call: call.seq)
    shown = [json.loads(line) for line in out.getvalue().splitlines()]
    assert sorted(map(str, shown)) == sorted(str(dict(call.record)) for call in calls)


def test_dry_run_goes_on_behind_a_customer_who_cannot_be_sent(write: Write, settings: Settings) -> None:
    """`BEFORE_SEND` refuses one: their line is listed, the others are shown; so with users that activities meet."""
    alex, bob = (str(User.objects.create(username=name).pk) for name in ("alex", "bob"))

    def before_send(record: dict[str, Any]) -> dict[str, Any]:
        if record.get("customerId") in {"c-8", alex}:
            raise RuntimeError
        return record

    configure(settings, BEFORE_SEND=before_send)
    people = write("c.jsonl", *({"customerId": f"c-{number}"} for number in range(7, 10)))
    events = write("a.jsonl", deposit(1, customerid=alex), deposit(2, customerid=bob))

    printed, error = fail(people, events, "--dry-run")

    shown = [json.loads(line) for line in printed]
    assert [each["customerId"] for each in shown if "customerId" in each] == ["c-7", "c-9", bob]
    assert str(error).count("lines that can't be reported: 1") == 2
    assert not Customer.objects.exists()


def test_rate_bounds_the_lines_of_a_second(write: Write) -> None:
    """Twelve lines at ten a second take more than a second."""
    path = write("a.jsonl", *(deposit(number) for number in range(12)))
    begun = time.monotonic()

    track360(path, "--rate", "10")

    assert time.monotonic() - begun > 1.0
    assert Activity.objects.count() == 12


@pytest.mark.parametrize("rate", ["0", "-1", "fast", "nan"])
def test_rate_that_is_none_is_a_wrong_call(rate: str, write: Write) -> None:
    """So argparse says."""
    with pytest.raises(CommandError, match="a second"):
        track360(write("a.jsonl", deposit(1)), "--rate", rate)


def test_progress_is_a_line_for_each_tenth(write: Write) -> None:
    """Where nobody watches, eleven lines at most."""
    path = write("a.jsonl", *(deposit(number) for number in range(40)))

    printed = track360(path, "--rate", "2000", "--dry-run")
    printed = track360(path, "--rate", "1000000")

    assert [line for line in printed if "%" in line] == [f"{path}: 100 %, 40 done"]


class Terminal(io.StringIO):
    """A terminal that remembers."""

    def isatty(self) -> bool:
        """Say so."""
        return True


def test_progress_is_a_bar_on_a_terminal(write: Write) -> None:
    """It is drawn in one line, and left behind at the end."""
    terminal = Terminal()
    path = write("a.jsonl", *(deposit(number) for number in range(3)))

    call_command("track360", "import", str(path), stdout=terminal, no_color=True)

    assert f"\r{path} [{'#' * 30}] 100 % 3\n" in terminal.getvalue()


# Killed, stopped, started again.


def test_import_in_few_queries(write: Write, settings: Settings) -> None:
    """A thousand lines cost a dozen statements."""
    people = write("c.jsonl", *({"customerId": f"c{number}", **TOUCH} for number in range(1000)))
    events = write("a.jsonl", *(deposit(number, customerid=f"c{number}") for number in range(1000)))

    with CaptureQueriesContext(connection) as queries:
        track360(people, events)

    assert Customer.objects.count() == Activity.objects.count() == 1000
    assert len(queries) <= 60


@pytest.mark.django_db(transaction=True)
def test_import_that_is_killed_twice_ends_complete(spawn_host: SpawnHost, write: Write) -> None:
    """Killed by -9 twice and started again, each line is there once, and each bad line is noted once."""
    people = write("c.csv", "customerId,tracking_data\n", *(f"c{each},t{each}\n" for each in range(900)))
    texts = [json.dumps(deposit(number, customerid=f"c{number % 900}")) for number in range(4000)]
    for number in range(0, 4000, 500):
        texts[number] = "broken"
    events = write("a.jsonl", *(f"{text}\n" for text in texts))
    words = ("manage.py", "track360", "import", str(events), str(people))

    for count in (700, 1900):
        process = spawn_host(*words, "--rate", "2500", name=f"import-{count}")
        wait_for(count, process)
        process.kill()
    last = spawn_host(*words, name="last")

    assert last.wait(DEADLINE_SECONDS) == 1
    assert f"{events} continues after line" in last.log_tail()
    assert Customer.objects.count() == 900
    assert Activity.objects.filter(changed_at=None).count() == Activity.objects.count() == 4000 - 8
    assert [bad["line"] for bad in bad_lines(events)] == list(range(1, 4001, 500))
    assert sorted(path.name for path in people.parent.glob("[ac].*")) == [
        "a.jsonl",
        "a.jsonl.bad.jsonl",
        "c.csv",
    ]


@pytest.mark.django_db(transaction=True)
def test_first_interrupt_ends_behind_the_batch(spawn_host: SpawnHost, write: Write) -> None:
    """The batch under way is committed and noted, and the person is told how to go on."""
    path = write("a.jsonl", *(deposit(number) for number in range(2000)))
    words = ("manage.py", "track360", "import", str(path))
    process = spawn_host(*words, "--rate", "200", name="interrupted")
    wait_for(200, process)

    code = process.terminate(DEADLINE_SECONDS, with_signal=signal.SIGINT)

    assert code == 130
    assert "Run the same command again" in process.log_tail()
    count = Activity.objects.count()
    assert json.loads(path.with_name("a.jsonl.progress").read_text())["line"] == count < 2000
    assert track360(path)[0] == f"{path} continues after line {count:,}."
    assert Activity.objects.count() == 2000


def wait_for(count: int, process: Process) -> None:
    """Wait until a process has written so many activities down."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while Activity.objects.count() < count:
        assert process.is_running, process.log_tail()
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def stopped(write: Write, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a file whose import was stopped after its first batch, which had a bad line."""
    path = write("a.jsonl", deposit(0), "broken\n", *(deposit(number) for number in range(2, 30)))
    with monkeypatch.context() as patch:
        patch.setattr(run, "BATCH", 10)
        patch.setattr(Stop, "is_wanted", property(lambda _: Activity.objects.exists()))
        _, error = fail(path)
    assert error.returncode == 130
    return path


def test_batch_that_was_not_noted_is_read_again(stopped: Path) -> None:
    """Killed between the commit and the note, or within the list of bad lines: nothing is there twice."""
    noted = stopped.with_name("a.jsonl.bad.jsonl")
    noted.write_text(noted.read_text() + '{"line": 12, "rea')

    _, error = fail(stopped)

    assert "lines that can't be reported: 1." in str(error)
    assert [bad["line"] for bad in bad_lines(stopped)] == [2]
    assert Activity.objects.count() == 29


def test_progress_of_another_database_is_not_used(stopped: Path) -> None:
    """What was imported into staging is not done in production."""
    progress = stopped.with_name("a.jsonl.progress")
    noted = json.loads(progress.read_text())
    noted["input"]["database"][2] = "staging"
    progress.write_text(json.dumps(noted))
    Activity.objects.all().delete()

    printed, _ = fail(stopped)

    assert "(or the database) has changed" in printed[0]
    assert Activity.objects.count() == 29
    assert [bad["line"] for bad in bad_lines(stopped)] == [2]


@pytest.mark.parametrize("kind", ["customers", "activities"])
def test_progress_that_a_restored_database_knows_nothing_of_is_not_used(
    kind: str, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The settings are the same; what was written is looked for before the import goes on."""
    model: Any = {"customers": Customer, "activities": Activity}[kind]
    wanted = (
        deposit(number) if kind == "activities" else {"customerId": f"c-{number}"} for number in range(16)
    )
    first, *others = wanted
    path = write("a.jsonl", *others, "broken\n" * 30, first)
    progress = path.with_name("a.jsonl.progress")
    with monkeypatch.context() as patch:
        patch.setattr(run, "BATCH", 10)
        # Behind a batch that wrote nothing.
        patch.setattr(
            Stop, "is_wanted", property(lambda _: json.loads(progress.read_text())["line"] in range(40, 46))
        )
        fail(path)
    assert model.objects.count() == 15
    model.objects.all().delete()

    out = io.StringIO()
    with pytest.raises(CommandError):
        call_command("track360", "import", str(path), stdout=out, stderr=io.StringIO())

    assert "are not in this database (was it restored from a backup?)" in out.getvalue()
    assert model.objects.count() == 16
    assert [bad["line"] for bad in bad_lines(path)] == list(range(16, 46))


def remove(path: Path) -> bool:
    """Remove a file or a folder, while an import asks whether to stop: it need not."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    return False


def test_file_that_is_removed_meanwhile_is_no_crash(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that is open is read to its end; one that is still to be read is told to be gone."""
    people, events = write("c.jsonl", {"customerId": "7"}), write("a.jsonl", deposit(1))
    monkeypatch.setattr(Stop, "is_wanted", property(lambda _: remove(people)))
    track360(people)
    assert Customer.objects.count() == 1
    people = write("c.jsonl", {"customerId": "8"})
    monkeypatch.setattr(Stop, "is_wanted", property(lambda _: remove(events)))

    _, error = fail(people, events)

    assert (error.returncode, str(error).split(":")[0]) == (1, f"{events} no longer exists")
    assert Customer.objects.count() == 2


def test_folder_that_is_removed_meanwhile_is_no_crash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was committed stays; how far the import is can't be noted, and the person is told."""
    folder = tmp_path / "in"
    folder.mkdir()
    path = folder / "c.jsonl"
    path.write_text("".join(json.dumps({"customerId": str(number)}) + "\n" for number in range(20)))
    monkeypatch.setattr(run, "BATCH", 10)
    monkeypatch.setattr(Stop, "is_wanted", property(lambda _: remove(folder)))

    _, error = fail(path)

    assert error.returncode == 1
    assert "can't be saved any more" in str(error)
    assert Customer.objects.count() == 20


def test_file_that_changed_is_imported_from_the_beginning(stopped: Path) -> None:
    """An offset into another content would lose lines."""
    stopped.write_text("\n".join(json.dumps(deposit(number)) for number in range(100, 130)))

    printed = track360(stopped)

    assert "has changed" in printed[0]
    assert Activity.objects.filter(eventid__gte="TX-100", eventid__lt="TX-130").count() == 30


def test_progress_of_another_brand_or_of_nobody_is_not_used(stopped: Path, settings: Settings) -> None:
    """Neither is one that is broken: the import begins anew, which is harmless."""
    progress = stopped.with_name("a.jsonl.progress")
    progress.write_text("{")
    _, _ = fail(stopped)

    assert Activity.objects.count() == 29


def test_restart_begins_anew(stopped: Path) -> None:
    """`--restart` forgets what was done; what is there already is known."""
    printed, _ = fail(stopped, "--restart")

    assert f"{stopped}: 30 activities read: 20 new, 0 changed, 9 known, 1 not reported" in printed
    assert [bad["line"] for bad in bad_lines(stopped)] == [2]


def test_second_import_of_a_file_at_the_same_time_is_refused(write: Write) -> None:
    """Two processes would write over each other's notes."""
    path = write("a.jsonl", deposit(1))
    with path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)

        _, error = fail(path)

    assert "is being imported by another process" in str(error)
    assert not Activity.objects.exists()


@pytest.mark.standalone
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("option", ["", "--dry-run"])
def test_standard_input_is_read(host_environment: dict[str, str], tmp_path: Path, option: str) -> None:
    """`-` is read to its end; it can't be gone on with, and says so."""
    content = "".join(json.dumps(deposit(number)) + "\n" for number in range(3)) + "broken\n"

    done = subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), "track360", "import", "-", *filter(None, [option])],
        input=content,
        env={**host_environment, "PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1, done.stderr
    if option:
        assert len(done.stdout.splitlines()) == 3
        assert not Activity.objects.exists()
    else:
        assert "can't be continued after a stop" in done.stdout
        assert Activity.objects.count() == 3
        noted = (tmp_path / "standard-input.bad.jsonl").read_text()
        assert json.loads(noted)["text"] == "broken"
    assert list(tmp_path.glob("*.progress")) == []


def test_debug_remembers_no_statements(
    write: Write, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Django keeps each statement while DEBUG is on: of a million lines that would be gigabytes."""
    settings.DEBUG = True
    monkeypatch.setattr(run, "BATCH", 10)
    path = write("a.jsonl", *(deposit(number) for number in range(100)))

    track360(path)

    assert len(connection.queries) <= 2
