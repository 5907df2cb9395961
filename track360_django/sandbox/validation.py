"""
Check the records of a batch against the API guide. Pure: records in, problems out.

Checks that need earlier records (known customers, accepted events) are in `store`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from . import guide
from .body import Record, RepeatedNames
from .fields import CHECKS, check_additional
from .problem import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .guide import Endpoint

_LONGEST_NAME: Final = 64


def find_problems(endpoint: Endpoint, batch: Sequence[object]) -> Iterator[Problem]:
    """Yield what is wrong with the records of a batch, in their order."""
    for index, record in enumerate(batch):
        if isinstance(record, dict):
            yield from _find_in_record(endpoint, index, record)
        else:
            yield Problem(code="field", index=index, error="a record is a JSON object", guide=guide.BATCHING)


def _find_in_record(endpoint: Endpoint, index: int, record: Record) -> Iterator[Problem]:
    if isinstance(record, RepeatedNames):
        twice = "this record has a field name twice"
        yield Problem(code="field", index=index, error=twice, guide=guide.FIELDS[endpoint])
    for name, section in guide.REQUIRED[endpoint]:
        if name not in record:
            yield Problem(code="field", index=index, field=name, error="required, but missing", guide=section)
    checks = CHECKS[endpoint]
    for name, value in record.items():
        check = checks.get(name)
        error = check(value) if check else check_additional(endpoint, name, value)
        if error:
            source = _find_section(endpoint, name)
            yield Problem(code="field", index=index, field=_clean(name), error=error, guide=source)


def _find_section(endpoint: Endpoint, name: str) -> str:
    is_tracking = guide.DEFINED[endpoint].get(name) is guide.Kind.TRACKING
    return guide.TRACKING_PARAMETERS if is_tracking else guide.FIELDS[endpoint]


def _clean(name: str) -> str:
    """Return a field's name for an error text: bounded, ASCII."""
    return name[:_LONGEST_NAME].encode("ascii", "backslashreplace").decode("ascii")
