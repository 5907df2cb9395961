"""`manage.py track360 import`: ids and times that a spreadsheet or an export has changed on their way into the file."""

from __future__ import annotations

import io
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from track360_django.models import Activity, Customer

pytestmark = pytest.mark.django_db

DAMAGED = {
    "exponent": "1.23457E+15",
    "exponent with a comma": "1,23457E+15",
    "exponent of LibreOffice": "1.23456789012346E+015",
    "exponent of pandas": "1e+16",
    "exponent without a sign": "1E15",
    "negative exponent": "1.5e-07",
    "decimal point": "7.0",
    "decimal comma": "7,0",
    "decimal point without a digit": "7.",
    "rounded to 15 digits": "12345678901234500000",
    "rounded to 15 digits of 17": "12345678901234500",
    "blank before": " 5",
    "blank behind": "5 ",
    "end of line behind": "5\n",
    "no-break space behind": "5\N{NO-BREAK SPACE}",
    "apostrophe": "'007",
    "formula": '="007"',
    "nan": "nan",
    "None": "None",
    "NULL": "NULL",
    "backslash N": "\\N",
    "missing of Excel": "#N/A",
    "error of Excel": "#REF!",
    "undefined": "undefined",
    "True": "True",
}
WHOLE = {
    "number": "7",
    "zeros before": "007",
    "zero": "0",
    "16 digits": "1234567890123450",
    "18 digits": "123456789012345678",
    "UUID": "5e3c0b6e-8a4e-4f55-9f10-0c9f4ad5b8a1",
    "hexadecimal": "12e45f78",
    "name with an e": "7eleven",
    "version": "1.2.3",
    "negative": "-5",
    "sentence of words": "none of them",
    "capital letters": "NULLA",
}


def write(path: Path, *fields: dict[str, Any]) -> Path:
    """Write records as JSONL."""
    path.write_text("".join(json.dumps(each) + "\n" for each in fields))
    return path


def track360(path: Path, *options: str) -> str:
    """Import a file; return the error, an empty text when all of it was reported."""
    try:
        call_command("track360", "import", str(path), *options, stdout=io.StringIO(), stderr=io.StringIO())
    except CommandError as error:
        return str(error)
    return ""


def bad_lines(path: Path) -> list[tuple[int, str]]:
    """Return the number and the reason of each line that was refused."""
    noted = path.with_name(f"{path.name}.bad.jsonl").read_text()
    return [(bad["line"], bad["reason"]) for bad in map(json.loads, noted.splitlines())]


@pytest.mark.parametrize("damaged", DAMAGED.values(), ids=DAMAGED)
def test_customer_id_that_was_changed_on_its_way_is_refused_with_its_line(
    damaged: str, tmp_path: Path
) -> None:
    """Two people with the same damaged id are no customer at all, and the line between them is reported."""
    path = write(
        tmp_path / "customers.jsonl",
        {"customerId": damaged, "firstName": "Ann", "tracking_data": "a_1"},
        {"customerId": "8", "tracking_data": "e_1"},
        {"customerId": damaged, "firstName": "Bob", "tracking_data": "b_1"},
    )

    error = track360(path)

    assert "lines that can't be reported: 2" in error
    assert bad_lines(path) == [(1, "doubtful_id"), (3, "doubtful_id")]
    assert list(Customer.objects.values_list("customer_id", flat=True)) == ["8"]


@pytest.mark.parametrize("name", ["customerid", "eventid"])
@pytest.mark.parametrize("damaged", DAMAGED.values(), ids=DAMAGED)
def test_ids_of_an_activity_that_were_changed_are_refused(damaged: str, name: str, tmp_path: Path) -> None:
    """A payment is paid to nobody rather than to the wrong customer, and two payments never become one."""
    deposit = {
        "eventname": "Deposit",
        "eventid": "TX-1",
        "customerid": "8",
        "Value": "5.00",
        "Currency": "USD",
    }
    path = write(tmp_path / "activities.jsonl", deposit | {name: damaged})

    assert track360(path)

    assert bad_lines(path) == [(1, "doubtful_id")]
    assert not Activity.objects.exists()


@pytest.mark.parametrize("whole", WHOLE.values(), ids=WHOLE)
def test_id_that_was_not_changed_is_reported(whole: str, tmp_path: Path) -> None:
    """What only resembles a damaged id is taken letter by letter."""
    assert track360(write(tmp_path / "customers.jsonl", {"customerId": whole})) == ""

    assert Customer.objects.get().customer_id == whole


def test_person_who_knows_the_ids_has_them_taken_as_written(tmp_path: Path) -> None:
    """The option that the message names takes each id as it stands."""
    path = write(tmp_path / "customers.jsonl", {"customerId": "7.0"}, {"customerId": "1E15"})

    error = track360(path, "--dry-run")
    assert track360(path, "--ids-as-written") == ""

    assert "doubtful" not in error
    assert "lines that can't be reported: 2" in error
    assert set(Customer.objects.values_list("customer_id", flat=True)) == {"7.0", "1E15"}


def test_message_names_the_option_and_repeats_no_id(tmp_path: Path) -> None:
    """A person reads what to do; the value stands in the line's own text alone."""
    path = write(tmp_path / "customers.jsonl", {"customerId": "1.23457E+15"})

    track360(path)

    noted = json.loads(path.with_name(f"{path.name}.bad.jsonl").read_text())
    assert "--ids-as-written" in noted["message"]
    assert "export the column as text" in noted["message"]
    assert "1.23457E+15" not in noted["message"]


@pytest.mark.parametrize(
    "unclear",
    [
        "1753087560",
        "1753087560000",
        # Milliseconds that Python reads as a day in 1512.
        "1512101400000",
        "20250721",
        "202507210846",
        "45859.36",
        "1.75308756E+09",
        "21/07/2025",
        "21.07.2025 08:46",
        "05-06-2025",
        "5/6/25",
        "0000-00-00 00:00",
        "0001-01-01 00:00",
        "1900-01-00",
        "1970-01-01 00:00",
        "1899-12-30T00:00:00",
        "yesterday",
    ],
)
@pytest.mark.parametrize("kind", ["customers", "activities"])
def test_time_that_may_be_read_in_several_ways_is_refused(unclear: str, kind: str, tmp_path: Path) -> None:
    """Digits, a day in front, and times before there were customers are refused with their line."""
    records = {
        "customers": {"customerId": "8", "regtime": unclear},
        "activities": {"eventname": "Click", "eventid": "1", "customerid": "8", "createtime": unclear},
    }
    path = write(tmp_path / f"{kind}.jsonl", records[kind])

    assert track360(path)

    assert bad_lines(path) == [(1, "invalid_time")]
    assert not Customer.objects.exists()


def test_time_of_the_future_is_refused(tmp_path: Path) -> None:
    """A year that was mistyped is seen; a clock or a zone that is ahead is not."""
    now = timezone.now()
    times = [f"{now + ahead:%Y-%m-%d %H:%M}" for ahead in (timedelta(hours=14), timedelta(days=2))]
    path = write(
        tmp_path / "customers.jsonl",
        *({"customerId": str(number), "regtime": at} for number, at in enumerate(times, 1)),
    )

    assert track360(path)

    assert bad_lines(path) == [(2, "invalid_time")]
    assert list(Customer.objects.values_list("customer_id", flat=True)) == ["1"]
