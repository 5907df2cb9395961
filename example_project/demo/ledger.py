"""Track360's side of the story, as the sandbox saw it: what was received, and when it was answered."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeVar

import requests

TIMEOUT_SECONDS: Final = 5.0
POLL_SECONDS: Final = 0.05

Found = TypeVar("Found")


@dataclass(frozen=True, kw_only=True)
class Call:
    """One POST to Track360. `answered_at` is just before the answer was written."""

    seq: int
    endpoint: str
    status: int
    received_at: datetime
    answered_at: datetime | None

    @property
    def is_accepted(self) -> bool:
        """Whether Track360 took what it brought."""
        return 200 <= self.status < 300


@dataclass(frozen=True, kw_only=True)
class Accepted:
    """One record that Track360 took, and the call that brought it."""

    record: Mapping[str, str]
    call: Call


@dataclass(frozen=True, kw_only=True)
class Ledger:
    """All that Track360 knows at one moment, in order of arrival; `repeated` activities were sent twice."""

    calls: tuple[Call, ...]
    customers: tuple[Accepted, ...]
    activities: tuple[Accepted, ...]
    repeated: int

    def customer(self, customer_id: str) -> Accepted | None:
        """Return the first acceptance of a customer, if there was one."""
        return next((each for each in self.customers if each.record["customerId"] == customer_id), None)

    def activity(self, eventid: str) -> Accepted | None:
        """Return the acceptance of an activity, if there was one."""
        return next((each for each in self.activities if each.record.get("eventid") == eventid), None)

    def is_early(self, activity: Accepted) -> bool:
        """Tell whether an activity was sent before the acceptance of its customer was answered."""
        customer = self.customer(activity.record["customerid"])
        answered_at = customer.call.answered_at if customer else None
        return answered_at is None or activity.call.received_at < answered_at


class Track360:
    """The sandbox from behind: what it has, and its faults."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._session = requests.Session()
        self._session.trust_env = False

    def ledger(self) -> Ledger:
        """Return everything so far."""
        return _ledger(self._ask("GET", "records"))

    def break_down(self, status: int) -> None:
        """Answer everything with this status from now on, for at most ten minutes."""
        self._ask("POST", "faults", {"status": status, "seconds": 600})

    def recover(self) -> None:
        """Answer normally again."""
        self._ask("DELETE", "faults")

    def wait_for(self, find: Callable[[Ledger], Found | None], seconds: float) -> Found | None:
        """Look again and again until something is there; None when the time is up."""
        deadline = time.monotonic() + seconds
        while (found := find(self.ledger())) is None and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
        return found

    def _ask(self, method: str, what: str, body: object = None) -> Any:
        url = f"{self._address}/sandbox/{what}"
        answer = self._session.request(method, url, json=body, timeout=TIMEOUT_SECONDS)
        answer.raise_for_status()
        return answer.json() if answer.content else None


def _ledger(seen: Mapping[str, Any]) -> Ledger:
    calls = {each["seq"]: _call(each) for each in seen["requests"]}
    return Ledger(
        calls=tuple(calls.values()),
        customers=tuple(
            Accepted(record=each["record"], call=calls[each["seq"]]) for each in seen["customer_calls"]
        ),
        activities=tuple(
            Accepted(record=each["record"], call=calls[each["seq"]]) for each in seen["activities"]
        ),
        repeated=sum(each["duplicates"] for each in seen["requests"]),
    )


def _call(seen: Mapping[str, Any]) -> Call:
    answered_at = seen["answered_at"]
    return Call(
        seq=seen["seq"],
        endpoint=seen["endpoint"],
        status=seen["status"],
        received_at=datetime.fromisoformat(seen["received_at"]),
        answered_at=datetime.fromisoformat(answered_at) if answered_at else None,
    )
