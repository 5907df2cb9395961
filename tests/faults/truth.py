"""
The host's committed truth: what producers wrote into their journals, completed by the host's tables.

A producer notes what a transaction is about to commit, then how it ended. One that dies between the two leaves a
doubt, and the table settles it: each transaction leaves a witness, a row that is there exactly when it was committed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeAlias

# All personal data of the producers begins with this, so one search finds any of it where it must not be.
MARKER: Final = "Markername"

Effect: TypeAlias = dict[str, Any]
ActivityKey: TypeAlias = tuple[str, str]


class Journal:
    """An append-only file of one process; each line is in the kernel's hands before the call returns."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def begin(self, op: str, effects: Sequence[Effect], *, is_autocommit: bool) -> None:
        """Note what is about to be committed."""
        self._write({"op": op, "effects": list(effects), "is_autocommit": is_autocommit})

    def end(self, op: str, state: str, error: str = "") -> None:
        """Note how it ended: committed, rolled back, failed (nobody knows), or harmed (an error of ours)."""
        self._write({"op": op, "state": state, "error": error})

    def _write(self, line: dict[str, Any]) -> None:
        os.write(self._file, json.dumps(line).encode() + b"\n")


def signup(customer_id: str, name: str, tracking: str) -> Effect:
    """Return what a signup does."""
    return {"kind": "signup", "customer_id": customer_id, "name": name, "tracking": tracking}


def update(customer_id: str, name: str, value: str) -> Effect:
    """Return what an update of one field of a customer does."""
    return {"kind": "update", "customer_id": customer_id, "field": name, "value": value}


def activity(eventname: str, eventid: str, customer_id: str, value: str) -> Effect:
    """Return what a deposit or a bet does."""
    return {
        "kind": "activity",
        "eventname": eventname,
        "eventid": eventid,
        "customer_id": customer_id,
        "value": value,
    }


@dataclass(kw_only=True)
class CustomerTruth:
    """
    A customer who was committed; for each field its values, in the order of their commits.

    A `doubtful` value may have been committed before the next one was: nobody can tell any more.
    """

    name: str = ""
    tracking: str = ""
    fields: dict[str, list[str]] = field(default_factory=dict)
    doubtful: set[str] = field(default_factory=set)


@dataclass(kw_only=True)
class Truth:
    """
    What was committed.

    `unannounced` are signups that were committed by themselves, in autocommit, by a process that died before it
    reported them; a deposit of that kind is found by reconciliation, so it counts. `harmed` are errors that a producer saw and that are not the
    database's own.
    """

    customers: dict[str, CustomerTruth] = field(default_factory=dict)
    activities: dict[ActivityKey, Effect] = field(default_factory=dict)
    unannounced: list[str] = field(default_factory=list)
    harmed: list[str] = field(default_factory=list)
    transactions: int = 0
    rolled_back: int = 0


@dataclass(frozen=True, kw_only=True)
class Host:
    """How to ask the host's tables about a doubt: each takes what it looks for and says whether it is there."""

    has_witness: Callable[[str], bool]
    has_effect: Callable[[Effect], bool]
    has_row: Callable[[Effect], bool]


def read(journals: Iterable[Path], host: Host) -> Truth:
    """Return what the journals and the tables say together."""
    truth = Truth()
    for path in journals:
        _read_one(path, host, truth)
    for customer in truth.customers.values():
        _drop_doubtful_ends(customer)
    return truth


def _drop_doubtful_ends(customer: CustomerTruth) -> None:
    """Drop a doubtful value that nothing followed: the table would have it."""
    for name, values in list(customer.fields.items()):
        while values and values[-1] in customer.doubtful:
            values.pop()
        if not values:
            del customer.fields[name]


def _read_one(path: Path, host: Host, truth: Truth) -> None:
    begun: dict[str, dict[str, Any]] = {}
    ended: dict[str, dict[str, Any]] = {}
    for line in path.read_text().splitlines():
        entry = json.loads(line)
        (begun if "effects" in entry else ended)[entry["op"]] = entry
    for op, end in ended.items():
        if end["state"] == "harmed":
            truth.harmed.append(f"{op}: {end['error']}")
    for op, entry in begun.items():
        state = ended.get(op, {}).get("state", "unknown")
        if state == "rolled back":
            truth.rolled_back += 1
        elif state == "committed" or _was_committed(op, entry, host, truth):
            truth.transactions += 1
            for effect in entry["effects"]:
                _apply(effect, truth)


def _was_committed(op: str, entry: dict[str, Any], host: Host, truth: Truth) -> bool:
    if not entry["is_autocommit"]:
        return host.has_witness(op)
    (effect,) = entry["effects"]
    if host.has_effect(effect):
        return True
    if effect["kind"] == "update":
        truth.customers.setdefault(effect["customer_id"], CustomerTruth()).doubtful.add(effect["value"])
        return True
    if not host.has_row(effect):
        return False
    if effect["kind"] == "activity":
        return True
    truth.unannounced.append(f"{op}: {effect}")
    return False


def _apply(effect: Effect, truth: Truth) -> None:
    match effect["kind"]:
        case "signup":
            customer = truth.customers.setdefault(effect["customer_id"], CustomerTruth())
            customer.name, customer.tracking = effect["name"], effect["tracking"]
        case "update":
            # The journal of another producer than this one may have the signup.
            customer = truth.customers.setdefault(effect["customer_id"], CustomerTruth())
            customer.fields.setdefault(effect["field"], []).append(effect["value"])
        case "activity":
            truth.activities[effect["eventname"], effect["eventid"]] = effect
