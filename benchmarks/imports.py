"""
Import: a file of ten thousand customers and one of a hundred thousand or a million activities, killed by -9 twice and
started again each time. How many lines it reads in a second, how much memory it needs, and whether each line is there
once in the end.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from benchmarks import rows
from benchmarks.figures import Aim, Result, compare
from benchmarks.options import Options
from benchmarks.stage import Stage
from example_project.processes import Process
from track360_django.models import Activity, Customer

COUNTS: Final = (100_000, 1_000_000)
CUSTOMERS: Final = 10_000
# A million is its own repetition.
MOST_ROUNDS: Final = 1
# It is killed when so much of the file is read.
KILLED_AT: Final = (0.3, 0.7)
KILLED: Final = -9
LOOK_SECONDS: Final = 0.01
MOST_GROWTH: Final = 1.1


def run(stage: Stage, options: Options) -> Result:
    """Import a small and a large file."""
    people = options.scaled(CUSTOMERS, 100)
    counts = [options.scaled(count, 2_000) for count in COUNTS]
    names = [f"{count:,} lines" for count in counts]
    units = ("lines/s", "peak MB", "kills")
    figures: dict[str, dict[str, list[float]]] = {unit: {name: [] for name in names} for unit in units}
    lost = repeated = 0
    for number in range(min(options.rounds, MOST_ROUNDS)):
        for count, name in zip(counts, names, strict=True):
            found = _import(stage, people, count)
            lost += count - Activity.objects.count() + people - Customer.objects.count()
            repeated += Activity.objects.exclude(changed_at=None).count()
            for unit, value in found.items():
                figures[unit][name].append(value)
            told = ", ".join(f"{value:,.1f} {unit}" for unit, value in found.items())
            options.say(f"import, {name}, killed twice, round {number + 1}: {told}")
    small, large = names
    memory = compare("memory of the process at its peak", "MB", figures["peak MB"], [(large, small)])
    return Result(
        name="import",
        title="Import of files, killed twice",
        comparisons=[
            compare("speed, with three starts", "lines/s", figures["lines/s"], [(large, small)]),
            memory,
        ],
        aims=[
            Aim(name=f"kills before {large} were read", figure=min(figures["kills"][large]), at_least=2),
            Aim(name="lines that are missing in the end", figure=lost, at_most=0),
            Aim(name="lines whose content is not theirs", figure=repeated, at_most=0),
            Aim(
                name=f"memory at its peak, {large} / {small}",
                figure=memory.ratios[f"{large} / {small}"].median,
                at_most=MOST_GROWTH,
            ),
        ],
    )


def _import(stage: Stage, people: int, count: int) -> dict[str, float]:
    """Import so many lines in three starts, two of which are killed; return the speed and the memory."""
    for model in (Activity, Customer):
        rows.empty(model)
    customers, activities = (stage.directory / name for name in ("customers.csv", "activities.jsonl"))
    _write(customers, _lines_of_customers(people))
    _write(activities, _lines_of_activities(count, people))
    name, begun, peak, kills = "import", time.monotonic(), 0.0, 0
    for share in (*KILLED_AT, None):
        process = stage.start(name, "-m", "django", "track360", "import", str(activities), str(customers))
        peak = max(peak, _watch(process, activities, None if share is None else share * count))
        kills += process.wait() == KILLED
        if share is None and process.wait() != 0:
            raise stage.error(name, "failed")
    found = {"lines/s": (count + people) / (time.monotonic() - begun), "peak MB": peak, "kills": kills}
    for path in (customers, activities):
        path.unlink()
    return found


def _watch(process: Process, path: Path, kill_at: float | None) -> float:
    """Wait until a process ends, or is to be killed; return the most megabytes it had."""
    progress = path.with_name(f"{path.name}.progress")
    peak = 0.0
    while process.is_running:
        peak = max(peak, _megabytes(process.pid))
        if kill_at is not None and _line(progress) >= kill_at:
            process.kill()
        time.sleep(LOOK_SECONDS)
    return peak


def _line(progress: Path) -> int:
    """Return how many lines are read and noted; the note is replaced as a whole, and there is none at both ends."""
    try:
        return int(json.loads(progress.read_text())["line"])
    except FileNotFoundError:
        return 0


def _megabytes(pid: int) -> float:
    """Return the most memory that Linux has seen of a process; nothing of one that has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    most = status.partition("VmHWM:")[2].split()
    return int(most[0]) / 1024 if most else 0.0


def _lines_of_customers(count: int) -> Iterator[str]:
    yield "customerId,regtime,country,firstName,lastName,tracking_data"
    for number in range(count):
        yield f"12386a7c-d843-4b12-{number:012},2025-07-21 08:46,US,Alex,Taylor,2001_1000_{number:07}"


def _lines_of_activities(count: int, people: int) -> Iterator[str]:
    for number in range(count):
        yield json.dumps(
            {
                "eventname": "Deposit",
                "eventid": f"TX-{number:09}",
                "createtime": "2025-07-20 11:03",
                "customerid": f"12386a7c-d843-4b12-{number % people:012}",
                "Value": f"{number % 1000}.50",
                "Currency": "USD",
                "depositType": "card",
            }
        )


def _write(path: Path, lines: Iterator[str]) -> None:
    with path.open("w") as file:
        file.writelines(f"{line}\n" for line in lines)
