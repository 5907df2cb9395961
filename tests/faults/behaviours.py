"""What the fault server may do with a request: each way by name, with what it makes of the records."""

from __future__ import annotations

import email.utils
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from tests import misbehaving
from tests.misbehaving import Script, Step, answer

GARBAGE: Final = "as soon as possible"
YEAR_SECONDS: Final = 31_536_000


@dataclass(frozen=True, kw_only=True)
class Fault:
    """
    One way to treat a request.

    `is_processed` tells whether the API takes the records, `is_clear` whether its answer says so beyond doubt: then
    a client must believe it, and may not send them again.
    """

    name: str
    script: Callable[[], Script]
    is_processed: bool = False
    is_clear: bool = False


def _table(scripts: Mapping[str, misbehaving.Behaviour], *, is_clear: bool) -> dict[str, Fault]:
    return {
        name: Fault(name=name, script=script, is_processed=True, is_clear=is_clear)
        for name, script in scripts.items()
    }


def not_taken(fault: Fault) -> Fault:
    """Return the same behaviour of a server that did not take the records."""
    return Fault(name=f"{fault.name}, not taken", script=fault.script)


def status(
    code: int, *, is_processed: bool = False, headers: Mapping[str, str] | None = None, body: bytes = b"{}"
) -> Fault:
    """Return a whole answer with this status; one of the good ones says that the records were taken."""
    is_good = code in {200, 201, 202, 204}
    return Fault(
        name=f"status {code}{', taken' if is_processed and not is_good else ''}",
        script=lambda: (Step.READ, answer(code, body, headers=headers), Step.KEEP),
        is_processed=is_processed or is_good,
        is_clear=is_good,
    )


def busy(retry_after: str, code: int = 429) -> Fault:
    """Return a refusal that says when to come back."""
    return status(code, headers={"Retry-After": retry_after})


def in_seconds(seconds: float) -> str:
    """Return a `Retry-After` as a date, so many seconds from now."""
    return email.utils.formatdate(time.time() + seconds, usegmt=True)


def redirect(target: str, code: int = 302) -> Fault:
    """Return a redirect to another server."""
    return status(code, headers={"Location": f"{target}/tracking/events/customers"})


OBEY: Final = status(200)
LATE: Final = Fault(
    name="status 200, a little late",
    script=lambda: (Step.READ, 0.3, answer(), Step.KEEP),
    is_processed=True,
    is_clear=True,
)
# An answer that comes whole, and a connection that ends without announcement: the next request meets its corpse.
LEAVE: Final = Fault(
    name="keep-alive closed", script=misbehaving.answer_and_leave, is_processed=True, is_clear=True
)

CLEAR: Final = {**_table(misbehaving.TAKEN, is_clear=True), LEAVE.name: LEAVE, OBEY.name: OBEY}
UNCLEAR: Final = _table(misbehaving.UNCLEAR, is_clear=False)
SLOW: Final = _table(misbehaving.SLOW, is_clear=False)
