"""
Reconciliation: a ledger of a hundred thousand or a million rows, all of them reported but for ten. How many rows the
command looks at in a second, with the balance and without, how much memory it needs, and whether it finds the ten.
"""

from __future__ import annotations

import json
import time
from typing import Final

from django.db import connection

from benchmarks import rows
from benchmarks.figures import Aim, Result, compare
from benchmarks.imports import watch
from benchmarks.options import Options
from benchmarks.project.models import DeclaredPayment
from benchmarks.stage import Stage
from track360_django.models import Activity, Customer

COUNTS: Final = (100_000, 1_000_000)
MISSING: Final = 10
# A million is its own repetition.
MOST_ROUNDS: Final = 3
MOST_SECONDS: Final = 60.0
MOST_GROWTH: Final = 1.1
# What a million more in the tables may make each row cost.
MOST_COST: Final = 1.5

LEDGER: Final = """
    INSERT INTO {ledger} (user_id, reference, amount, currency, status, completed_at)
    SELECT somebody.id, 'TX-' || lpad(number::text, 9, '0'), number %% 1000 + 0.5, 'USD', 'completed',
        now() - number %% 10000 * interval '1 minute'
    FROM generate_series(1, %s) AS number
    JOIN (SELECT id, row_number() OVER () AS place FROM auth_user) AS somebody
        ON somebody.place = 1 + number %% (SELECT count(*) FROM auth_user)
"""
RECORDS: Final = """
    INSERT INTO {records} (brand, lane, status, attempts, version, accepted_version, reason, error, delivered_at,
        customer_id, eventname, eventid, source, source_pk, body)
    SELECT customer.brand, customer.lane, 'delivered', 1, 1, 1, '', '', now(), customer.id, 'Payment', reference, %s,
        payment.id::text, '{{"eventname":"Payment","eventid":"' || reference || '","createtime":"'
        || to_char(completed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI') || '","customerid":"' || customer.customer_id
        || '","Value":"' || trim_scale(amount)::numeric(12, 2) || '","Currency":"USD"}}'
    FROM {ledger} AS payment JOIN {customers} AS customer ON customer.user_pk = payment.user_id::text
    ORDER BY payment.id
"""


def run(stage: Stage, options: Options) -> Result:
    """Reconcile a small and a large ledger."""
    rows.make_customers()
    counts = [options.scaled(count, 1_000) for count in COUNTS]
    names = [f"{count:,} rows" for count in counts]
    units = ("seconds", "µs/row", "peak MB", "found")
    figures: dict[str, dict[str, list[float]]] = {unit: {name: [] for name in names} for unit in units}
    for number in range(min(options.rounds, MOST_ROUNDS)):
        for count, name in zip(counts, names, strict=True):
            found = _reconcile(stage, count)
            for unit, value in found.items():
                figures[unit][name].append(value)
            told = ", ".join(f"{value:,.1f} {unit}" for unit, value in found.items())
            options.say(f"reconcile, {name}, round {number + 1}: {told}")
    rows.empty(Activity)
    rows.empty(DeclaredPayment)
    small, large = names
    seconds = compare("command with its balance, start included", "s", figures["seconds"], [])
    cost = compare("per row", "µs", figures["µs/row"], [(large, small)])
    memory = compare("memory of the process at its peak", "MB", figures["peak MB"], [(large, small)])
    return Result(
        name="reconcile",
        title="Reconciliation with ten rows missing",
        comparisons=[seconds, cost, memory],
        aims=[
            Aim(name="rows found of ten, at least", figure=_least(figures["found"]), at_least=MISSING),
            Aim(name=f"seconds, {large}", figure=seconds.figures[large].median, at_most=MOST_SECONDS),
            Aim(
                name=f"cost of a row, {large} / {small}",
                figure=cost.ratios[f"{large} / {small}"].median,
                at_most=MOST_COST,
            ),
            Aim(
                name=f"memory at its peak, {large} / {small}",
                figure=memory.ratios[f"{large} / {small}"].median,
                at_most=MOST_GROWTH,
            ),
        ],
    )


def _least(found: dict[str, list[float]]) -> float:
    return min(value for values in found.values() for value in values)


def _reconcile(stage: Stage, count: int) -> dict[str, float]:
    """Fill the tables, forget ten records, and run the command; return what it took and found."""
    _fill(count)
    name, begun = "reconcile", time.monotonic()
    process = stage.start(name, "-m", "django", "track360", "reconcile", "--since", "30d", "--json")
    peak = watch(process)
    seconds = time.monotonic() - begun
    if process.wait() != 0:
        raise stage.error(name, "failed")
    # Between what it warns of.
    text = (stage.directory / f"{name}.log").read_text()
    report, _ = json.JSONDecoder().raw_decode(text, text.index("{\n"))
    (gap,) = (each for each in report["declarations"] if each["eventname"] == "Payment")
    return {"seconds": seconds, "µs/row": seconds / count * 1e6, "peak MB": peak, "found": gap["reported"]}


def _fill(count: int) -> None:
    for model in (Activity, DeclaredPayment):
        rows.empty(model)
    tables = {
        "ledger": DeclaredPayment._meta.db_table,
        "records": Activity._meta.db_table,
        "customers": Customer._meta.db_table,
    }
    with connection.cursor() as cursor:
        cursor.execute(LEDGER.format(**tables), [count])
        cursor.execute(RECORDS.format(**tables), [DeclaredPayment._meta.label])
        # One here and there.
        cursor.execute(
            f"DELETE FROM {tables['records']} WHERE eventid IN (SELECT eventid FROM {tables['records']} "
            f"ORDER BY md5(eventid) LIMIT {MISSING})"
        )
        for table in (tables["ledger"], tables["records"]):
            cursor.execute(f"VACUUM ANALYZE {table}")
