"""Conditions that Django's ORM has no word for, the same on every database."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, Final

from django.db.models import BooleanField, F, Func, Lookup, Value


class _Among(Lookup):
    """`IN` with the numbers in the statement: five hundred parameters cost a driver more than the statement itself."""

    lookup_name = "among"
    prepare_rhs = False

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, tuple[Any, ...]]:
        """Return the condition; each number has been made an int, so none can be anything else."""
        column, params = self.process_lhs(compiler, connection)
        return f"{column} IN ({self.rhs})", tuple(params)


def is_among(name: str, numbers: Iterable[int]) -> Lookup:
    """Return the condition that a whole number is one of these; there must be one at least."""
    return _Among(F(name), ",".join(map(str, map(int, numbers))))


class _OneOf(Lookup):
    """`IN` with the texts in one parameter, where the database can take them apart: drivers and SQLite count them."""

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
    """Return the condition that a text is one of these, thousands if need be; there must be one at least."""
    return _OneOf(F(name), list(texts))


def is_behind(names: Sequence[str], values: Sequence[Any]) -> Func:
    """Return the condition that a row comes behind these values, in the order of these columns."""
    return Func(
        _row(F(name) for name in names),
        _row(Value(value) for value in values),
        template="%(expressions)s",
        arg_joiner=" > ",
        output_field=_CONDITION,
    )


def _row(parts: Iterable[Any]) -> Func:
    return Func(*parts, template="(%(expressions)s)", output_field=_CONDITION)


# What the parts of a comparison are is nobody's business; that it is a condition is what a filter asks for.
_CONDITION: Final = BooleanField()
