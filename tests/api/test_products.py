"""Products: how a record tells its product, what a shape may not do, and under which names reconciliation looks."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import partial
from typing import Any

import pytest

from track360_django import presets, products
from track360_django.api import payloads
from track360_django.api.payloads import ActivityRecord, Record
from track360_django.exceptions import PayloadError
from track360_django.products import Names, Shape

LINES = ("Casino", "Sports", "Poker", "Bingo")


def record(**changes: Any) -> Record:
    """Return the JSON object of a day's GGR, with these changes."""
    usual: dict[str, Any] = {
        "eventname": "GGR",
        "eventid": "1",
        "customer_id": "7",
        "createtime": date(2025, 7, 21),
        "value": Decimal(50),
        "currency": "USD",
    }
    return ActivityRecord(**{**usual, **changes}).as_dict(UTC)


def day(**fields: Any) -> Record:
    """Return the JSON object of a day's totals, with these fields and no value."""
    return record(eventname="DailyStats", value=None, fields=fields)


# What the shapes make of a record.


@pytest.mark.parametrize(
    ("shape", "eventname"),
    [
        (products.suffix, "GGRCasino"),
        (products.prefix, "CasinoGGR"),
        (partial(products.suffix, separator="_"), "GGR_Casino"),
        (partial(products.prefix, separator=" - "), "Casino - GGR"),
        (products.field("gameType"), "GGR"),
    ],
    ids=["suffix", "prefix", "suffix-separated", "prefix-separated", "field"],
)
def test_record_with_a_value_has_its_name_shaped(shape: Shape, eventname: str) -> None:
    """The event name of a single KPI tells the product; its number, details and ids stay."""
    before = record(fields={"bonusGGR": Decimal(5), "depositType": "card", "round": 7})

    after = products.apply(shape, before, "Casino")

    assert after["eventname"] == eventname
    assert {**after, "eventname": "GGR"} == before | ({"gameType": "Casino"} if eventname == "GGR" else {})


@pytest.mark.parametrize(
    ("shape", "names"),
    [
        (products.suffix, ["GGRPoker", "NGRPoker", "GamesPoker"]),
        (products.prefix, ["PokerGGR", "PokerNGR", "PokerGames"]),
        (partial(products.suffix, separator="_"), ["GGR_Poker", "NGR_Poker", "Games_Poker"]),
    ],
    ids=["suffix", "prefix", "separated"],
)
def test_record_of_kpi_fields_has_those_shaped(shape: Shape, names: list[str]) -> None:
    """DailyStats keeps its name; its numbers tell the product, and no text, time or yes-or-no field does."""
    before = day(
        GGR=Decimal(50),
        NGR=Decimal(-45),
        Games=15,
        cardBin="411111",
        note="12.50",
        isVip=True,
        day=date(2025, 7, 21),
        at=datetime(2025, 7, 21, 8, 46, tzinfo=UTC),
    )

    after = products.apply(shape, before, "Poker")

    kept = {name: value for name, value in before.items() if name not in {"GGR", "NGR", "Games"}}
    assert after == {**kept, names[0]: "50.00", names[1]: "-45.00", names[2]: "15"}
    assert after["eventname"] == "DailyStats"


def test_fields_keep_their_places() -> None:
    """The order of fields on the wire is that of the record without a product."""
    after = products.apply(products.suffix, day(GGR=Decimal(50), note="x", Games=1), "Bingo")

    assert list(after)[4:] == ["GGRBingo", "note", "GamesBingo", "Currency"]


@pytest.mark.parametrize("shape", [products.suffix, products.prefix], ids=["suffix", "prefix"])
def test_record_without_a_number_tells_its_product_all_the_same(shape: Shape) -> None:
    """A product is not lost where there is nothing but a name to tell it by."""
    after = products.apply(shape, day(note="12"), "Casino")

    assert after["eventname"] in {"DailyStatsCasino", "CasinoDailyStats"}
    assert after["note"] == "12"


def test_field_may_say_the_same_already() -> None:
    """A detail that is the product is no contradiction."""
    before = record(fields={"gameType": "Casino"})

    assert products.apply(products.field("gameType"), before, "Casino") == before


@pytest.mark.parametrize(
    ("shape", "fields", "named"),
    [
        (products.field("gameType"), {"gameType": "Sports"}, "gameType"),
        (products.field("Value"), {}, "Value"),
        (products.field("Currency"), {}, "Currency"),
        (products.field("eventid"), {}, "eventid"),
        (products.suffix, {"GGR": Decimal(1), "GGRCasino": "text"}, "same name"),
        (products.prefix, {"GGR": Decimal(1), "GGRCasino": Decimal(2), "CasinoGGR": "text"}, "same name"),
        (partial(products.prefix, separator="\0"), {"GGR": Decimal(1)}, "NUL"),
        (lambda given, _product: products.suffix(given, "ue"), {"Val": Decimal(1)}, "same name"),
    ],
    ids=[
        "other-product",
        "value",
        "currency",
        "id",
        "suffix-twice",
        "prefix-twice",
        "nul",
        "name-of-the-api",
    ],
)
def test_product_that_would_overwrite_something_is_refused(
    shape: Shape, fields: dict[str, Any], named: str
) -> None:
    """No number and no detail disappears behind a product."""
    with pytest.raises(PayloadError, match=named) as refused:
        products.apply(shape, day(**fields), "Casino")

    assert (refused.value.field, refused.value.reason) == ("product", "product_field")
    assert "TRACK360['PRODUCT_FIELD']" in str(refused.value)


# What a shape may not do.


def _raise(_record: Record, _product: str) -> Record:
    message = "secret of the host"
    raise KeyError(message)


WRONG: dict[str, tuple[Callable[..., Any], str]] = {
    "raises": (_raise, "raised KeyError"),
    "takes-too-little": (lambda record: record, "raised TypeError"),
    "returns-none": (lambda _record, _product: None, "type NoneType"),
    "returns-text": (lambda _record, product: product, "type str"),
    "returns-a-list": (lambda record, _product: [record], "type list"),
    "returns-nothing": (lambda _record, _product: {}, "changed eventid"),
    "changes-the-id": (lambda record, product: {**record, "eventid": f"1-{product}"}, "changed eventid"),
    "changes-the-customer": (lambda record, _product: {**record, "customerid": "8"}, "changed customerid"),
    "changes-the-time": (
        lambda record, _product: {**record, "createtime": "2025-07-22"},
        "changed createtime",
    ),
    "drops-the-customer": (
        lambda record, _product: {name: value for name, value in record.items() if name != "customerid"},
        "changed customerid",
    ),
    "drops-the-name": (
        lambda record, _product: {name: value for name, value in record.items() if name != "eventname"},
        "eventname takes text",
    ),
    "empties-the-name": (lambda record, _product: {**record, "eventname": ""}, "eventname takes text"),
    "name-too-long": (lambda record, _product: {**record, "eventname": "x" * 101}, "at most 100"),
    "adds-a-float": (lambda record, _product: {**record, "usd": 1.5}, "usd takes text"),
    "adds-a-number": (lambda record, _product: {**record, "usd": 15}, "usd takes text"),
    "adds-a-decimal": (lambda record, _product: {**record, "usd": Decimal(15)}, "usd takes text"),
    "adds-none": (lambda record, _product: {**record, "usd": None}, "usd takes text"),
    "adds-emptiness": (lambda record, _product: {**record, "gameType": ""}, "gameType takes text"),
    "adds-an-object": (lambda record, _product: {**record, "game": {"a": "b"}}, "game takes text"),
    "adds-half-a-character": (lambda record, _product: {**record, "game": "\ud83c"}, "surrogate"),
    "adds-a-nul": (lambda record, _product: {**record, "game": "\x00"}, "NUL"),
    "adds-a-number-as-name": (lambda record, _product: {**record, 5: "x"}, "the name of a field"),
    "adds-an-empty-name": (lambda record, _product: {**record, "": "x"}, "the name of a field"),
}


@pytest.mark.parametrize("case", WRONG)
def test_shape_that_makes_no_such_record_is_refused(case: str) -> None:
    """Whatever a shape does, the record stays the same activity, and its message tells what to correct."""
    shape, told = WRONG[case]
    before = record()

    with pytest.raises(PayloadError, match=told) as refused:
        products.apply(shape, before, "Casino")

    assert (refused.value.field, refused.value.reason) == ("product", "product_field")
    assert "TRACK360['PRODUCT_FIELD']" in str(refused.value)
    assert "secret" not in str(refused.value)
    assert before == record()


def test_shape_gets_a_record_of_its_own() -> None:
    """A shape that changes the dict it was given changes no other."""

    def shape(given: Record, product: str) -> Record:
        given["gameType"] = product
        return given

    before = record()

    assert products.apply(shape, before, "Casino") == before | {"gameType": "Casino"}
    assert "gameType" not in before


def test_shape_may_keep_the_main_product_as_it_is() -> None:
    """A shape may tell some products and not others, as it was agreed."""

    def all_but_casino(given: Record, product: str) -> Record:
        return given if product == "Casino" else products.suffix(given, product)

    assert products.apply(all_but_casino, record(), "Casino")["eventname"] == "GGR"
    assert products.apply(all_but_casino, record(), "Poker")["eventname"] == "GGRPoker"


def test_number_is_plain_text_on_the_wire() -> None:
    """What tells a shape that a text is a number does not reach the wire."""
    text = payloads.to_json(day(GGR=Decimal(50)))

    assert type(json.loads(text)["GGR"]) is str
    assert '"GGR":"50.00"' in text


# What reconciliation looks for.


def _into_a_field_of_its_own(given: Record, product: str) -> Record:
    """Say a value in a field that is named for KPI and product."""
    kept = {name: value for name, value in given.items() if name != "Value"}
    return {**kept, f"{given['eventname']}.{product}": f"{given['Value']}"}


@pytest.mark.parametrize(
    ("shape", "eventname", "kpis", "names"),
    [
        (products.suffix, "GGR", (), Names(eventname="GGRCasino", kpis={"Value": "Value"}, fields={})),
        (products.prefix, "GGR", (), Names(eventname="CasinoGGR", kpis={"Value": "Value"}, fields={})),
        (
            products.suffix,
            "DailyStats",
            ("GGR", "Games"),
            Names(eventname="DailyStats", kpis={"GGR": "GGRCasino", "Games": "GamesCasino"}, fields={}),
        ),
        (
            products.field("gameType"),
            "DailyStats",
            ("GGR",),
            Names(eventname="DailyStats", kpis={"GGR": "GGR"}, fields={"gameType": "Casino"}),
        ),
        (
            _into_a_field_of_its_own,
            "GGR",
            (),
            Names(eventname="GGR", kpis={"Value": "GGR.Casino"}, fields={}),
        ),
    ],
    ids=["suffix", "prefix", "suffix-of-a-day", "field-of-a-day", "own"],
)
def test_names_on_the_wire_are_found(
    shape: Shape, eventname: str, kpis: tuple[str, ...], names: Names
) -> None:
    """For each KPI and product it is known where its number is on the wire, also behind a host's own shape."""
    assert products.names_of(shape, "Casino", eventname=eventname, kpis=kpis) == names


def test_shape_that_drops_a_number_has_no_names() -> None:
    """A number that is nowhere can't be added up."""

    def without_value(given: Record, _product: str) -> Record:
        return {name: value for name, value in given.items() if name != "Value"}

    with pytest.raises(PayloadError, match="leaves out Value"):
        products.names_of(without_value, "Casino", eventname="GGR")


@pytest.mark.parametrize("shape", [products.suffix, products.prefix], ids=["suffix", "prefix"])
def test_products_and_kpis_stay_apart(shape: Shape) -> None:
    """Two products of a KPI, or two KPIs of a product, are two names."""
    names = [
        products.names_of(shape, line, eventname=kpi).eventname
        for line in LINES
        for kpi in ("GGR", "NGR", "Bet", "Deposit")
    ]

    assert len(set(names)) == len(names)


# Presets.


@pytest.mark.parametrize("preset", [presets.IGAMING, presets.FOREX, presets.PROP_TRADING])
def test_preset_is_a_set_of_names(preset: presets.Preset) -> None:
    """A preset repeats no name, calls only KPIs counts, and fits the settings."""
    for names in (preset.EVENTS, preset.KPIS, preset.COUNTS, preset.PRODUCTS):
        assert len(set(names)) == len(names)
        assert all(name.isalnum() and name.isascii() for name in names)
    assert set(preset.COUNTS) <= set(preset.KPIS)
    assert {"DailyStats", "Chargeback"} <= set(preset.EVENTS)
    assert len({name.casefold() for name in preset.EVENTS}) == len(preset.EVENTS)


def test_presets_have_the_names_of_the_guide() -> None:
    """What the guide names is named as there."""
    assert {"Deposit", "Withdrawal", "GGR", "NGR", "Bet"} <= set(presets.IGAMING.EVENTS)
    assert (presets.IGAMING.KPIS, presets.IGAMING.PRODUCTS) == (("GGR", "NGR", "Bets", "Games"), LINES)
    assert "Lots" in presets.FOREX.EVENTS
    assert "ChallengePurchase" in presets.PROP_TRADING.EVENTS
