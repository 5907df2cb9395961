"""Conditions that Django's ORM can't express, the same on every database."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, Final

from django.db.models import BooleanField, F, Func, Lookup, Value


class _Among(Lookup):
    """`IN` with the numbers in the statement, because 500 parameters cost a driver more than the statement itself."""

    lookup_name = "among"
    prepare_rhs = False

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, tuple[Any, ...]]:
        """Return the condition. Each number was converted to an int, so the statement can't contain anything else."""
        column, params = self.process_lhs(compiler, connection)
        return f"{column} IN ({self.rhs})", tuple(params)


def is_among(name: str, numbers: Iterable[int]) -> Lookup:
    """Return the condition that a whole number is one of these. At least one is needed."""
    return _Among(F(name), ",".join(map(str, map(int, numbers))))


class _OneOf(Lookup):
    """
    `IN` with all texts in one parameter, on databases that can split it.

    Drivers and SQLite limit the number of parameters.
    """

    lookup_name = "one_of"
    prepare_rhs = False

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, tuple[Any, ...]]:
        """Return the condition."""
        column, params = self.process_lhs(compiler, connection)
        texts: list[str] = self.rhs
        match connection.vendor:
            case "postgresql":
                return f"{column} = ANY(%s)", (*params, texts)
            case "sqlite":
                return f"{column} IN (SELECT value FROM json_each(%s))", (  # noqa: S608  our own column
                    *params,
                    json.dumps(texts),
                )
            case _:
                return f"{column} IN ({', '.join(['%s'] * len(texts))})", (*params, *texts)


def is_one_of(name: str, texts: Iterable[str]) -> Lookup:
    """Return the condition that a text is one of these. There may be thousands; at least one is needed."""
    return _OneOf(F(name), list(texts))


def is_behind(names: Sequence[str], values: Sequence[Any]) -> Func:
    """Return the condition that a row comes after these values, in the order of these columns."""
    return Func(
        _row(F(name) for name in names),
        _row(Value(value) for value in values),
        template="%(expressions)s",
        arg_joiner=" > ",
        output_field=_CONDITION,
    )


def _row(parts: Iterable[Any]) -> Func:
    return Func(*parts, template="(%(expressions)s)", output_field=_CONDITION)


# A filter needs an expression that is a condition. The types of the parts of a comparison do not matter.
_CONDITION: Final = BooleanField()
