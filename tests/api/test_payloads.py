"""The guide's words: what a record looks like on the wire, and what is refused because it can't be exact."""

from __future__ import annotations

import enum
import json
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal, FloatOperation, Inexact, Rounded, Subnormal, localcontext
from fractions import Fraction
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db.models import TextChoices

from track360_django.api import payloads
from track360_django.api.currencies import MINOR_UNITS
from track360_django.api.payloads import ActivityRecord, CustomerRecord, FieldValue, Moment, Number
from track360_django.exceptions import PayloadError, Track360Error

MALTA = ZoneInfo("Europe/Malta")


class Plain(str, enum.Enum):  # noqa: UP042  a StrEnum would have no point here
    """An enumeration whose `str()` is its name, not its value."""

    CARD = "card"


class Choice(TextChoices):
    """An enumeration as Django has them."""

    CARD = "card", "Credit card"


class Count(enum.IntEnum):
    """An enumeration of numbers."""

    TWO = 2


class Cents(Decimal):
    """A Decimal of the host's own, which prints itself in its own way."""

    def __str__(self) -> str:
        return f"{self:f} cents"


class Scalar:
    """A number as array packages have them: it can become one of ours, and is none."""

    def __init__(self, number: int) -> None:
        self._number = number

    def __index__(self) -> int:
        return self._number

    def __float__(self) -> float:
        return float(self._number)

    def __str__(self) -> str:
        return f"scalar {self._number}"


def activity(**changes: Any) -> dict[str, str | bool]:
    """Return an activity's JSON object, built from a usual one."""
    usual: dict[str, Any] = {
        "eventname": "Deposit",
        "eventid": "1234",
        "customer_id": "7",
        "createtime": datetime(2025, 7, 20, 11, 3, tzinfo=UTC),
    }
    return ActivityRecord(**{**usual, **changes}).as_dict(UTC)


def customer(**changes: Any) -> dict[str, str | bool]:
    """Return a customer's JSON object."""
    return CustomerRecord(**{"customer_id": "7", **changes}).as_dict(UTC)


# Numbers.


@pytest.mark.parametrize(
    ("value", "currency", "text"),
    [
        (Decimal(250), "USD", "250.00"),
        (Decimal("250.5"), "USD", "250.50"),
        (Decimal("0.1"), "USD", "0.10"),
        (Decimal("12.345"), "USD", "12.345"),  # never rounded
        (Decimal("12.3450"), "USD", "12.345"),
        (Decimal("250.000000"), "USD", "250.00"),
        (Decimal("-45.00"), "USD", "-45.00"),
        (Decimal("-0.00"), "USD", "0.00"),
        (Decimal("1E+3"), "USD", "1000.00"),
        (Decimal("1E-7"), "USD", "0.0000001"),
        (7, "USD", "7.00"),
        (-7, "USD", "-7.00"),
        (Count.TWO, "USD", "2.00"),
        ("250.00", "USD", "250.00"),
        ("007", "USD", "7.00"),
        (Decimal(1000), "JPY", "1000"),
        (Decimal("1000.00"), "JPY", "1000"),
        (Decimal("1000.5"), "JPY", "1000.5"),
        (Decimal("1.5"), "BHD", "1.500"),
        (Decimal("1.5000"), "KWD", "1.500"),
        (Decimal("1.5"), "CLF", "1.5000"),
        (Decimal("1.5"), "usd", "1.50"),
        (Decimal("1.5"), "HRK", "1.50"),  # withdrawn in 2023; a backfill meets it
        (Decimal("1.5"), "TRL", "1.5"),
        (Decimal("1.005"), "USD", "1.005"),
        (Decimal("250.5"), "JPY", "250.5"),
        (Decimal("-0.004"), "USD", "-0.004"),
        (Decimal("-0E+3"), "USD", "0.00"),
        (Decimal("0E-30"), "BHD", "0.000"),
        ("-0.00", "USD", "0.00"),
        ("-0", "JPY", "0"),
        ("-007.50", "USD", "-7.50"),
        (Cents("12.5"), "USD", "12.50"),
        (Decimal(15), None, "15.00"),
        (15, None, "15"),  # a count
        (0, None, "0"),
        (Decimal("9" * 36 + ".99"), "USD", "9" * 36 + ".99"),
    ],
)
def test_amount_has_the_places_of_its_currency(value: Number, currency: str | None, text: str) -> None:
    """An amount has its currency's places at least, more where it is exact only with more, and no exponent."""
    assert activity(value=value, currency=currency)["Value"] == text


@pytest.mark.parametrize(
    "value",
    [
        12.5,
        True,
        Decimal("NaN"),
        Decimal("sNaN"),
        Decimal("Infinity"),
        Decimal("-Infinity"),
        "1e3",
        "12,50",
        "1_000",
        "NaN",
        "",
        " 1",
        "1\n",
        "٣",
        "0x10",
        "+1",
        ".5",
        b"1",
        [],
        10**1000,
        Decimal("1E+1000"),
        Decimal("1E-1000"),
        "1" * 1000,
        Decimal("9" * 39),
        Decimal("1E+999999999"),
        Decimal("1E-999999999"),
        Decimal("0E-999999"),
        Decimal("0E+999999"),
        Decimal("1E+38"),
        Decimal("1E-39"),
        10**38,
        -(10**38),
        Cents("NaN"),
        Scalar(5),
        complex(1),
        Fraction(1, 2),
        timedelta(1),
        "\uff11\uff12",
        "\u0967\u0968",
        "12.50 ",
        "12.",
        "--1",
        "∞",
        "1" * 39,
        "0." + "1" * 39,
    ],
    ids=lambda value: f"{type(value).__name__}-{str(value)[:12] if not isinstance(value, int) else 'number'}",
)
def test_number_that_is_not_exact_is_refused(value: object) -> None:
    """Floats, bools, exponents in text, infinities and a thousand digits are refused, as value and as KPI."""
    with pytest.raises(PayloadError) as refused:
        activity(value=value, currency="USD")

    message = str(refused.value)
    assert (refused.value.field, refused.value.reason) == ("Value", "invalid_number")
    # The field, the type and the way out.
    assert message.startswith("Value ")
    assert (f"a value of type {type(value).__name__}" if value != "" else "nothing") in message
    assert ": write " in message or ": give " in message or ": look " in message
    assert len(message) < 200


@pytest.mark.parametrize(
    "value",
    [
        98765.43,
        "98765e43",
        "98765" * 20,
        Decimal("98765E+9999"),
        Decimal("NaN98765"),
        98765**40,
        b"98765",
        Fraction(98765, 43),
    ],
    ids=["float", "text", "long-text", "decimal", "nan", "int", "bytes", "fraction"],
)
def test_message_repeats_no_digit_of_a_number(value: object) -> None:
    """An amount may be somebody's; its message has none of it."""
    with pytest.raises(PayloadError) as refused:
        activity(value=value)

    assert "98765" not in str(refused.value)


@pytest.mark.parametrize(
    "value", [12.5, Decimal("NaN"), Decimal("1E+1000"), 10**1000, b"1", object(), [1], timedelta(1)]
)
def test_field_that_is_not_exact_is_refused(value: Any) -> None:
    """A KPI that is a float, infinite or no value at all is refused under its own name."""
    with pytest.raises(PayloadError) as refused:
        activity(fields={"GGR": value})

    assert refused.value.field == "GGR"


@pytest.mark.parametrize(
    ("fields", "currency", "sent"),
    [
        ({"GGR": Decimal(50), "Games": 15}, "USD", {"GGR": "50.00", "Games": "15"}),
        ({"GGR": Decimal(50)}, "JPY", {"GGR": "50"}),
        ({"GGR": Decimal(50)}, "BHD", {"GGR": "50.000"}),
        ({"GGR": Decimal(50)}, None, {"GGR": "50.00"}),
        ({"bonus": True, "free": False}, None, {"bonus": True, "free": False}),
        ({"depositType": Choice.CARD}, None, {"depositType": "card"}),
        ({"depositType": Plain.CARD}, None, {"depositType": "card"}),
        ({"day": date(2025, 7, 21)}, None, {"day": "2025-07-21"}),
        ({"at": datetime(2025, 7, 21, 8, 46, tzinfo=UTC)}, None, {"at": "2025-07-21 08:46"}),
        ({"note": " spaces\nand lines "}, None, {"note": " spaces\nand lines "}),
        ({"nothing": None, "empty": ""}, None, {}),
        ({"zero": 0, "space": " "}, None, {"zero": "0", "space": " "}),
    ],
    ids=[
        "kpis",
        "yen",
        "dinar",
        "no-currency",
        "bools",
        "choice",
        "plain-enum",
        "day",
        "time",
        "text",
        "left-out",
        "not-left-out",
    ],
)
def test_fields_are_sent_as_they_are(
    fields: Mapping[str, FieldValue], currency: str | None, sent: Mapping[str, str | bool]
) -> None:
    """Additional fields are money, counts, flags, times or text; those without a value are left out."""
    record = activity(fields=fields, currency=currency)

    usual = {"eventname", "eventid", "createtime", "customerid", "Currency"}
    assert {name: value for name, value in record.items() if name not in usual} == sent


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        *(
            (code, "invalid_currency")
            for code in [
                "US",
                "U$D",
                "ÄÖÜ",
                "u\u017fd",
                "USD ",
                "USD\n",
                "\uff35\uff33\uff24",
                "US Dollar",
                840,
                b"USD",
                0,
                False,
                [],
            ]
        ),
        # Three letters, or what may be agreed: it may be right one day.
        *(
            (code, "unknown_currency")
            for code in ["XYZ", "usx", "USDT", "123", "BTC", "XAU", "XDR", "XXX", "XTS", "DDM"]
        ),
    ],
)
def test_currency_that_is_none_is_refused(code: object, reason: str) -> None:
    """A currency is one that ISO 4217 has, or had since 2000; the message has field, type, way out and no value."""
    with pytest.raises(PayloadError) as refused:
        activity(value=Decimal(1), currency=code)

    message = str(refused.value)
    assert (refused.value.field, refused.value.reason) == ("Currency", reason)
    assert f"a value of type {type(code).__name__}" in message
    assert ("TRACK360['CURRENCIES']" in message) == (reason == "unknown_currency")


@pytest.mark.parametrize(
    ("code", "sent", "text"),
    [
        ("BTC", "BTC", "1.50000000"),
        ("usdt", "USDT", "1.500000"),
        ("1INCH", "1INCH", "1.5"),
        ("USD", "USD", "1.50"),
        ("JPY", "JPY", "1.500"),
    ],
    ids=["bitcoin", "small-letters", "none", "iso", "agreed-otherwise"],
)
def test_currency_that_was_agreed_is_sent(code: str, sent: str, text: str) -> None:
    """A code beyond ISO 4217 has the places that were agreed, for the value and for KPIs."""
    agreed = {"BTC": 8, "USDT": 6, "1INCH": 0, "JPY": 3}

    record = activity(
        value=Decimal("1.5"), currency=code, currencies=agreed, fields={"GGR": Decimal("1.5"), "Games": 2}
    )

    assert (record["Value"], record["GGR"], record["Games"], record["Currency"]) == (text, text, "2", sent)


@pytest.mark.parametrize(
    "agreed", [{"btc": 8}, {"BTC": 19}, {"BTC": -1}, {"B.C": 2}, {"ETH": 18}, {}], ids=str
)
def test_currency_that_was_agreed_wrongly_is_unknown(agreed: Mapping[str, int]) -> None:
    """An entry that can't be meant does nothing."""
    with pytest.raises(PayloadError) as refused:
        activity(value=Decimal(1), currency="B.C" if "B.C" in agreed else "BTC", currencies=agreed)

    assert refused.value.reason in {"unknown_currency", "invalid_currency"}


@pytest.mark.parametrize(
    ("places", "codes"),
    [
        (0, "CLP ISK JPY KRW PYG UGX UYI VND XAF XOF XPF BYR ITL TRL"),
        (
            2,
            "USD EUR GBP SEK AED BRL CHE COU MXV USN ZWG SLE VED XCG XAD BGN CUC HRK LTL RUR VEF ZWL DEM SVC HUF",
        ),
        (3, "BHD IQD JOD KWD LYD OMR TND"),
        (4, "CLF UYW"),
    ],
)
def test_currencies_of_iso_have_their_minor_units(places: int, codes: str) -> None:
    """Each currency, the funds codes and those withdrawn since 2000 among them, has the places of ISO 4217."""
    assert {payloads.minor_units(payloads.currency(code)) for code in codes.split()} == {places}


def test_currencies_are_all_there() -> None:
    """List One of 2026 has 165 codes with a minor unit; 60 were withdrawn since 2000."""
    assert len(MINOR_UNITS) == 165 + 60
    assert all(len(code) == 3 and code.isascii() and code.isupper() for code in MINOR_UNITS)
    assert set(MINOR_UNITS.values()) == {0, 2, 3, 4}


def test_numbers_are_exact_and_plain() -> None:
    """Whatever the amount and the currency: the text is that very number, plain, with enough places, and no -0."""
    random = Random(4217)  # a seed, so that a failure repeats
    codes = [None, *MINOR_UNITS]
    for _ in range(5000):
        code = random.choice(codes)
        digits = random.randrange(10 ** random.randint(0, 25))
        value = Decimal(random.choice((-1, 1)) * digits).scaleb(random.randint(-12, 12))
        text = str(activity(value=value, currency=code)["Value"])

        assert Decimal(text) == value
        assert re.fullmatch(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?", text, re.ASCII)
        assert text.lstrip("-").strip("0.") or not text.startswith("-")
        assert len(text.partition(".")[2]) >= payloads.minor_units(code)


def test_context_of_the_host_changes_no_number() -> None:
    """The host's decimal context, with few digits and traps, rounds nothing and raises nothing."""
    with localcontext() as context:
        context.prec, context.Emax, context.Emin = 2, 5, -5
        for signal in (Inexact, Rounded, FloatOperation, Subnormal):
            context.traps[signal] = True

        record = activity(value=Decimal("123456789.123456"), currency="USD", fields={"GGR": Decimal("-0.00")})

        assert (record["Value"], record["GGR"]) == ("123456789.123456", "0.00")
        with pytest.raises(PayloadError):
            activity(value=12.5, currency="USD")


@pytest.mark.parametrize("code", [None, ""])
def test_missing_currency_is_left_out(code: str | None) -> None:
    """No currency is no field."""
    assert "Currency" not in activity(value=Decimal(1), currency=code)


# Times.


@pytest.mark.parametrize(
    ("value", "zone", "text"),
    [
        (datetime(2025, 7, 20, 11, 3, tzinfo=UTC), UTC, "2025-07-20 11:03"),
        (datetime(2025, 7, 20, 11, 3, 59, 999_999, tzinfo=UTC), UTC, "2025-07-20 11:03"),
        (datetime(2025, 7, 20, 23, 30, tzinfo=UTC), MALTA, "2025-07-21 01:30"),
        (datetime(2025, 1, 20, 23, 30, tzinfo=UTC), MALTA, "2025-01-21 00:30"),
        (datetime(2025, 7, 20, 2, 0, tzinfo=timezone(timedelta(hours=9))), UTC, "2025-07-19 17:00"),
        (datetime(2025, 10, 26, 0, 30, tzinfo=UTC), MALTA, "2025-10-26 02:30"),  # the night the clocks change
        (datetime(2025, 10, 26, 1, 30, tzinfo=UTC), MALTA, "2025-10-26 02:30"),
        (datetime(987, 1, 2, 3, 4, tzinfo=UTC), UTC, "0987-01-02 03:04"),
        (date(2025, 7, 21), MALTA, "2025-07-21"),
        ("2025-07-21 08:46", MALTA, "2025-07-21 08:46"),
        ("2025-07-21", MALTA, "2025-07-21"),
        ("2024-02-29", UTC, "2024-02-29"),
    ],
)
def test_time_is_written_as_in_the_guide(value: Moment, zone: Any, text: str) -> None:
    """A time is given to the minute in the agreed zone, a date as it is."""
    assert payloads.moment(value, zone, name="createtime") == text


@pytest.mark.parametrize(
    "value",
    [
        datetime(2025, 7, 20, 11, 3),  # noqa: DTZ001  the point of the row
        "2025-07-20T11:03",
        "2025-07-20 11:03:00",
        "20.07.2025",
        "2025-13-01",
        "2025-02-29",
        "2025-07-20 24:01",
        "2025-07-20\n",
        "٢٠٢٥-07-20",
        1_753_000_000,
        None,
        "",
        True,
        datetime.max.replace(tzinfo=UTC),
        datetime.min.replace(tzinfo=timezone(timedelta(hours=3))),
    ],
    ids=str,
)
def test_time_that_is_not_exact_is_refused(value: Any) -> None:
    """A time without a zone, an impossible one, or no time at all is refused."""
    with pytest.raises(PayloadError) as refused:
        payloads.moment(value, MALTA, name="createtime")

    assert (refused.value.field, refused.value.reason) == ("createtime", "invalid_time")


# Fields that must be there, and names that are taken.


def test_customer_has_only_what_is_known() -> None:
    """A customer without anything else is their id alone."""
    assert customer() == {"customerId": "7"}


def test_activity_without_a_value_has_the_four_fields() -> None:
    """An activity needs no value: name, id, time and customer are enough."""
    assert activity() == {
        "eventname": "Deposit",
        "eventid": "1234",
        "createtime": "2025-07-20 11:03",
        "customerid": "7",
    }


@pytest.mark.parametrize("value", ["", None, 7, "nul\x00", "half\ud83c"])
@pytest.mark.parametrize(
    ("argument", "field"),
    [("eventname", "eventname"), ("eventid", "eventid"), ("customer_id", "customerid")],
)
def test_required_field_that_is_no_text_is_refused(argument: str, field: str, value: object) -> None:
    """Name, id and customer of an activity are text that a database keeps."""
    with pytest.raises(PayloadError) as refused:
        activity(**{argument: value})

    assert (refused.value.field, refused.value.reason) == (field, "invalid_field")


@pytest.mark.parametrize("value", ["", None, 7])
def test_customer_without_an_id_is_refused(value: object) -> None:
    """A customer's id is text."""
    with pytest.raises(PayloadError) as refused:
        customer(customer_id=value)

    assert refused.value.field == "customerId"


@pytest.mark.parametrize("name", ["", "a\0b", "\ud800", "x" * 256, 7], ids=ascii)
@pytest.mark.parametrize(
    ("make", "where"), [(activity, "fields"), (customer, "fields"), (customer, "tracking")]
)
def test_name_of_a_field_is_text_that_is_kept_as_it_is(make: Any, where: str, name: Any) -> None:
    """One name that no table or request takes would stop all records around it."""
    with pytest.raises(PayloadError) as refused:
        make(**{where: {name: "x"}})

    assert refused.value.reason == "invalid_field"


@pytest.mark.parametrize("name", ["eventname", "eventid", "createtime", "customerid", "Value", "Currency"])
def test_additional_field_of_an_activity_takes_no_name_of_the_api(name: str) -> None:
    """A field that has an argument of its own can't come as an additional one."""
    with pytest.raises(PayloadError) as refused:
        activity(fields={name: "x"})

    assert (refused.value.field, refused.value.reason) == (name, "reserved_field")


@pytest.mark.parametrize("name", ["customerId", "regtime"])
@pytest.mark.parametrize("where", ["fields", "tracking"])
def test_additional_field_of_a_customer_takes_no_name_of_the_api(where: str, name: str) -> None:
    """Neither an additional field nor a tracking parameter replaces who the customer is."""
    with pytest.raises(PayloadError) as refused:
        customer(**{where: {name: "x"}})

    assert (refused.value.field, refused.value.reason) == (name, "reserved_field")


def test_tracking_value_wins_over_a_field_of_its_name() -> None:
    """The frozen attribution is what is sent, whatever a field of the same name says."""
    record = customer(tracking={"tracking_data": "frozen"}, fields={"tracking_data": "later"})

    assert record["tracking_data"] == "frozen"


def test_refusal_names_the_field_and_not_the_value() -> None:
    """The message of a refusal teaches the way out and repeats no value."""
    with pytest.raises(PayloadError) as refused:
        customer(fields={"firstName": b"Alexandra"})

    assert isinstance(refused.value, Track360Error)
    assert isinstance(refused.value, ValueError)
    assert "firstName" in str(refused.value)
    assert "bytes" in str(refused.value)
    assert "Alexandra" not in str(refused.value)


# Tracking values.


@pytest.mark.parametrize(
    "value",
    [
        "2001_1000_abcdefg",
        "campaign_7_aff_42_creative_b",
        "x" * 50,
        "é" * 50,
        "🎰" * 50,
        " leading and trailing ",
        "a+b%20c&d=e",
        "null",
        "0",
        " ",
        "\u200b",
        "e\u0301",  # not composed
        "<script>",
        '"quoted"\\',
        "\u2028",
        "\ue000",
    ],
    ids=ascii,
)
def test_tracking_value_is_kept_exactly(value: str) -> None:
    """A tracking value of up to 50 characters is returned as it was received."""
    record = customer(tracking={"tracking_data": value})

    assert payloads.refuse_tracking(value) is None
    assert json.loads(payloads.to_array([payloads.to_json(record)])) == [
        {"customerId": "7", "tracking_data": value}
    ]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("", "empty"),
        ("x" * 51, "too_long"),
        ("é" * 51, "too_long"),
        ("x" * 100_000, "too_long"),
        ("a\x00b", "control_character"),
        ("a\nb", "control_character"),
        ("a\tb", "control_character"),
        ("a\x7fb", "control_character"),
        ("a\x85b", "control_character"),
        ("é\x1b[31m", "control_character"),
        ("a\ufffdb", "undecodable"),
        ("\udcff", "undecodable"),
        ("\x00\ud800", "undecodable"),
    ],
    ids=ascii,
)
def test_tracking_value_that_was_damaged_is_refused(value: str, reason: str) -> None:
    """A tracking value that can't be exact is refused with its reason, and no record is built with it."""
    assert payloads.refuse_tracking(value) == reason
    with pytest.raises(PayloadError) as refused:
        customer(tracking={"tracking_data": value})
    assert (refused.value.field, refused.value.reason) == ("tracking_data", reason)
    assert value not in str(refused.value) or not value


@pytest.mark.parametrize(
    ("value", "reason"),
    [(5, "no_text"), (["x"], "no_text"), (b"x", "no_text"), (None, "empty"), ([], "empty")],
)
def test_tracking_value_that_is_no_text_is_refused(value: Any, reason: str) -> None:
    """A tracking value that is no text at all is refused too, as state of another version may hold one."""
    with pytest.raises(PayloadError) as refused:
        customer(tracking={"tracking_data": value})

    assert refused.value.reason == reason


@pytest.mark.parametrize(
    ("argument", "field", "most"),
    [("eventname", "eventname", 100), ("eventid", "eventid", 255), ("customer_id", "customerid", 255)],
)
def test_text_that_no_column_holds_is_refused(argument: str, field: str, most: int) -> None:
    """Names and ids are as long as their columns, on every database."""
    assert activity(**{argument: "é" * most})[field] == "é" * most

    with pytest.raises(PayloadError) as refused:
        activity(**{argument: "é" * (most + 1)})

    assert refused.value.field == field


# Text.


def test_body_is_compact_json_in_utf8() -> None:
    """Records are joined to one array without spaces; no character is escaped that need not be."""
    bodies = [payloads.to_json({"customerId": "7", "firstName": "Zoë"}), payloads.to_json({"b": True})]

    assert payloads.to_array(bodies) == '[{"customerId":"7","firstName":"Zoë"},{"b":true}]'.encode()


def test_private_values_are_all_but_the_quotable() -> None:
    """Values of fields that may be personal are private, at any depth; ids, amounts and times are not."""
    body = json.dumps(
        {"customerId": "7", "Value": "1.00", "firstName": "Alex", "more": {"a": ["b", 5, None, True]}}
    )

    assert payloads.private_values(body) == {"Alex", "b", "5"}
