"""The checker itself: each kind of violation is found in a history that has it, and nothing in one that has none."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from tests.faults import behaviours, truth
from tests.faults.api import ACTIVITIES, CUSTOMERS, Exchange, split
from tests.faults.invariants import History, Look, Row, check
from tests.faults.truth import CustomerTruth, Host, Journal, Truth

MINA: Final = {"customerId": "1", "firstName": "Mina", "tracking_data": "abc", "status_p1": "a"}
BET: Final = {"eventname": "Bet", "eventid": "bet-1", "customerid": "1", "Value": "5.00"}
UNCLEAR: Final = behaviours.UNCLEAR["half-a-body"]


def exchange(number: int, *records: dict[str, Any], **changes: Any) -> Exchange:
    """Return a request that was taken and answered at once, a second after the one before it."""
    body = json.dumps(records)
    made = Exchange(
        number=number,
        endpoint=CUSTOMERS if "customerId" in records[0] else ACTIVITIES,
        received_at=float(number),
        answered_at=number + 0.1,
        headers={},
        records=tuple(split(body.replace("}, {", "},{"))),
        size=len(body),
        accepted_as=number,
    )
    return replace(made, **changes)


def history(*exchanges: Exchange, **changes: Any) -> History:
    """Return a history in which a customer with one field and one bet were committed."""
    committed = Truth(
        customers={"1": CustomerTruth(name="Mina", tracking="abc", fields={"status_p1": ["a"]})},
        activities={("Bet", "bet-1"): truth.activity("Bet", "bet-1", "1", "5.00")},
    )
    good = (exchange(1, MINA), exchange(2, BET))
    base = History(
        truth=committed,
        exchanges=exchanges or good,
        rows=(Row(key=("1",), status="delivered"), Row(key=("Bet", "bet-1"), status="delivered")),
        secrets=("token", "Mina"),
        texts={"worker.log": "all quiet"},
        looks=(Look(exit_code=0, is_in_trouble=False), Look(exit_code=1, is_in_trouble=True)),
    )
    return replace(base, **changes)


def found(forged: History) -> dict[str, int]:
    """Return the kinds of violations that the checker finds."""
    return {name: count for name, count in check(forged).counts().items() if count}


def committed(**changes: Any) -> Truth:
    """Return the truth of the good history, changed."""
    return replace(history().truth, **changes)


NEWER: Final = {"1": CustomerTruth(name="Mina", tracking="abc", fields={"status_p1": ["a", "b"]})}


def test_good_history_violates_nothing() -> None:
    """Everything once, in order: nothing is found."""
    assert found(history()) == {}


@pytest.mark.parametrize(
    ("forged", "kinds"),
    [
        pytest.param(history(exchange(1, MINA)), {"lost": 1}, id="activity-never-sent"),
        pytest.param(
            history(exchange(1, MINA), exchange(2, BET, accepted_as=None)),
            {"lost": 1},
            id="activity-not-taken",
        ),
        pytest.param(
            history(exchange(2, BET, accepted_as=None), exchange(3, BET)),
            {"lost": 1, "reordered": 2},
            id="customer-never-sent",
        ),
        pytest.param(history(truth=committed(customers=NEWER)), {"lost": 1}, id="update-never-sent"),
        pytest.param(
            history(exchange(1, MINA), exchange(2, BET, fault=UNCLEAR), exchange(3, BET | {"more": "x"})),
            {"conflicting": 1},
            id="two-bodies",
        ),
        pytest.param(
            history(
                exchange(1, MINA | {"status_p1": "b"}),
                exchange(2, BET),
                exchange(3, MINA),
                exchange(4, MINA | {"status_p1": "b"}),
                truth=committed(customers=NEWER),
            ),
            {"backward": 1},
            id="version-back",
        ),
        pytest.param(
            history(exchange(1, MINA), exchange(2, BET), exchange(3, BET)), {"repeated": 1}, id="twice"
        ),
        pytest.param(
            history(
                exchange(1, MINA),
                exchange(2, BET),
                exchange(3, BET),
                exchange(4, BET),
                disturbances=[(2.5, 2.6)],
            ),
            {"repeated": 1},
            id="two-repeats-for-one-fault",
        ),
        pytest.param(
            history(exchange(1, MINA), exchange(2, BET), exchange(3, BET | {"eventid": "bet-2"})),
            {"unexpected": 1},
            id="activity-rolled-back",
        ),
        pytest.param(
            history(exchange(1, MINA, MINA | {"customerId": "2"}), exchange(2, BET)),
            {"unexpected": 1},
            id="customer-rolled-back",
        ),
        pytest.param(
            history(exchange(1, MINA | {"status_p1": "z"}), exchange(2, MINA), exchange(3, BET)),
            {"unexpected": 1, "backward": 0},
            id="update-rolled-back",
        ),
        pytest.param(
            history(exchange(1, MINA), exchange(2, BET | {"Value": "6.00"})),
            {"unexpected": 1},
            id="another-value",
        ),
        pytest.param(
            history(exchange(1, MINA | {"tracking_data": "xyz"}), exchange(2, BET)),
            {"unexpected": 1},
            id="another-tracking-data",
        ),
        pytest.param(
            history(exchange(1, BET), exchange(2, MINA)), {"reordered": 1}, id="activity-before-its-customer"
        ),
        pytest.param(
            history(exchange(1, MINA, answered_at=2.5), exchange(2, BET)),
            {"reordered": 1},
            id="activity-before-the-answer",
        ),
        pytest.param(
            history(exchange(1, MINA, fault=UNCLEAR), exchange(2, BET)),
            {"reordered": 1},
            id="activity-after-an-unclear-answer",
        ),
        pytest.param(history(texts={"worker.log": "key=token"}), {"leaked": 1}, id="token-in-a-log"),
        pytest.param(history(texts={"broker.log": "Hello Mina"}), {"leaked": 1}, id="name-in-the-broker"),
        pytest.param(history(trapped=1), {"leaked": 1}, id="redirect-followed"),
        pytest.param(
            history(truth=committed(harmed=["p1-1: TypeError"])), {"harmed": 1}, id="error-in-the-host"
        ),
        pytest.param(
            history(exchange(1, MINA), exchange(2, *[BET] * 501)),
            {"repeated": 500, "unbounded": 1},
            id="too-many",
        ),
        pytest.param(
            history(exchange(1, MINA), exchange(2, BET, BET, size=300_000)),
            {"repeated": 1, "unbounded": 1},
            id="too-large",
        ),
        pytest.param(
            history(rows=[Row(key=("Bet", "bet-1"), status="pending")]), {"stuck": 1}, id="never-settled"
        ),
        pytest.param(
            history(looks=[Look(exit_code=0, is_in_trouble=True)]), {"unseen": 1}, id="trouble-unseen"
        ),
        pytest.param(
            history(looks=[Look(exit_code=1, is_in_trouble=False)]), {"unseen": 1}, id="false-alarm"
        ),
        pytest.param(history(undriven=["refused"]), {"undriven": 1}, id="requeue-failed"),
    ],
)
def test_forged_history_is_found_out(forged: History, kinds: dict[str, int]) -> None:
    """A history with one kind of violation is charged with that kind alone."""
    assert found(forged) == {name: count for name, count in kinds.items() if count}


@pytest.mark.parametrize(
    "explained",
    [
        pytest.param(
            history(exchange(1, MINA), exchange(2, BET, fault=UNCLEAR), exchange(3, BET)), id="unclear-answer"
        ),
        pytest.param(
            history(exchange(1, MINA), exchange(2, BET, answered_at=2.9), exchange(3, BET)), id="late-answer"
        ),
        pytest.param(
            history(exchange(1, MINA), exchange(2, BET), exchange(3, BET), disturbances=[(2.5, 2.6)]),
            id="somebody-died",
        ),
        pytest.param(
            history(exchange(1, MINA), rows=[Row(key=("Bet", "bet-1"), status="dead", reason="x")]),
            id="dead-with-a-reason",
        ),
    ],
)
def test_what_a_fault_explains_is_no_repeat_and_no_loss(explained: History) -> None:
    """One more request after a fault is allowed, and what is dead with a reason is not lost."""
    assert set(found(explained)) <= {"stuck"}


@pytest.fixture
def journal(tmp_path: Path) -> tuple[Journal, Callable[[Host], Truth]]:
    """Return a journal, and a function that reads it."""
    path = tmp_path / "p1.journal"
    return Journal(path), lambda host: truth.read([path], host)


def a_host(*, has_witness: bool = False, has_effect: bool = False, has_row: bool = False) -> Host:
    """Return a host whose tables say always the same."""
    return Host(has_witness=lambda _: has_witness, has_effect=lambda _: has_effect, has_row=lambda _: has_row)


def test_journal_says_what_was_committed(journal: tuple[Journal, Callable[[Host], Truth]]) -> None:
    """What ended as committed counts, what was rolled back does not, whatever the tables say."""
    book, read = journal
    book.begin("p1-1", [truth.signup("1", "Mina", "abc")], is_autocommit=False)
    book.end("p1-1", "committed")
    book.begin("p1-2", [truth.signup("2", "Mina", "abc")], is_autocommit=False)
    book.end("p1-2", "rolled back")

    result = read(a_host(has_witness=True))

    assert list(result.customers) == ["1"]
    assert result.rolled_back == 1


@pytest.mark.parametrize("state", ["", "failed"], ids=["died", "failed"])
@pytest.mark.parametrize("is_there", [True, False], ids=["witness", "no-witness"])
def test_witness_settles_a_doubt(
    journal: tuple[Journal, Callable[[Host], Truth]], state: str, *, is_there: bool
) -> None:
    """A transaction whose end nobody noted was committed exactly when its witness is there."""
    book, read = journal
    book.begin("p1-1", [truth.activity("Bet", "b", "1", "5.00")], is_autocommit=False)
    if state:
        book.end("p1-1", state)

    assert (("Bet", "b") in read(a_host(has_witness=is_there)).activities) is is_there


def test_row_without_its_hook_is_unannounced(journal: tuple[Journal, Callable[[Host], Truth]]) -> None:
    """Of a process that died at once, a deposit is to be found by reconciliation; a signup is counted apart."""
    book, read = journal
    book.begin("p1-1", [truth.activity("Deposit", "d", "1", "5.00")], is_autocommit=True)
    book.begin("p1-2", [truth.signup("1", "Alex", "x")], is_autocommit=True)

    result = read(a_host(has_row=True))

    assert result.activities.keys() == {("Deposit", "d")}
    assert len(result.unannounced) == 1


def test_doubtful_update_is_allowed_and_not_required(
    journal: tuple[Journal, Callable[[Host], Truth]],
) -> None:
    """An update in doubt may have been sent before the next one; as the last one, the table knows better."""
    book, read = journal
    book.begin("p1-1", [truth.update("1", "status_p1", "a")], is_autocommit=True)
    book.begin("p1-2", [truth.update("1", "status_p1", "b")], is_autocommit=True)
    book.end("p1-2", "committed")
    book.begin("p1-3", [truth.update("1", "status_p1", "c")], is_autocommit=True)

    assert read(a_host()).customers["1"].fields == {"status_p1": ["a", "b"]}
