"""
The contestants that are no Celery workers, each a process that waits for its turn: `python -m benchmarks.loops raw`.

- `raw`: reads 500 rows, posts them in one request, marks them, until none are left, with Django and requests. It
  promises nothing: no order, no lease, no retry; two of them would send everything twice.
- `bare`: the same without Django and requests: what the machine's wires allow.
- `segment`: Segment's client with its own batching, as it is used. Its queue is memory: it dies with the process.
- `segment-filled`: the same, its queue filled before the clock starts.
- `drain`: this package without Celery, which tells how long it took and how much memory.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import django
import redis
import requests

PAGE: Final = 500
HEADERS: Final = {"Content-Type": "application/json", "x-api-key": "benchmark-token"}


def words(name: str) -> Iterator[dict[str, Any]]:
    """Yield what the benchmark says to this contestant, and answer when it is done."""
    url = os.environ["CELERY_BROKER_URL"].replace("redis+socket", "unix")
    client = redis.Redis.from_url(url, socket_timeout=None)
    client.rpush(f"from:{name}", json.dumps("here"))
    while True:
        heard = client.blpop([f"to:{name}"])
        word = json.loads(heard[1])  # type: ignore[index]  # redis-py has one type for both its clients
        word["answer"] = "done"
        yield word
        if word["is_answered"]:
            client.rpush(f"from:{name}", json.dumps(word["answer"]))


def raw() -> None:
    """Read, post, mark, with the means of a Django project."""
    from benchmarks.project.models import RawRecord  # noqa: PLC0415  after django.setup()

    url = os.environ["TRACK360_BASE_URL"] + "/tracking/events/activities"
    api = requests.Session()
    for _ in words("raw"):
        due = RawRecord.objects.filter(is_sent=False).order_by("pk").values_list("pk", "body")
        last = 0
        while rows := list(due.filter(pk__gt=last)[:PAGE]):
            body = "[" + ",".join(row[1] for row in rows) + "]"
            api.post(url, data=body.encode(), headers=HEADERS, timeout=60).raise_for_status()
            last = rows[-1][0]
            RawRecord.objects.filter(pk__in=[row[0] for row in rows]).update(is_sent=True)


def bare() -> None:
    """Read, post, mark. psycopg and http.client: nothing between the loop and its wires."""
    import psycopg  # noqa: PLC0415  only here

    from benchmarks.project.models import RawRecord  # noqa: PLC0415  after django.setup()

    table = RawRecord._meta.db_table
    database = psycopg.connect(os.environ["DATABASE_URL"], autocommit=True)
    api = http.client.HTTPConnection(urlsplit(os.environ["TRACK360_BASE_URL"]).netloc)
    page = f"SELECT id, body FROM {table} WHERE NOT is_sent AND id > %s ORDER BY id LIMIT {PAGE}"
    mark = f"UPDATE {table} SET is_sent = true WHERE id = ANY(%s)"
    for _ in words("bare"):
        last = 0
        while rows := database.execute(page, (last,)).fetchall():
            body = "[" + ",".join(row[1] for row in rows) + "]"
            api.request("POST", "/tracking/events/activities", body.encode(), HEADERS)
            response = api.getresponse()
            response.read()
            if response.status != http.client.OK:
                raise RuntimeError(response.status)
            last = rows[-1][0]
            database.execute(mark, ([row[0] for row in rows],))


def segment() -> None:
    """Tell Segment's client of each record, one after the other, while its own consumer sends."""
    from segment.analytics.client import Client  # noqa: PLC0415  only here

    count = 0
    for word in words("segment"):
        if word["word"] == "fill":
            count = word["count"]
        else:
            client = Client("benchmark", host=os.environ["TRACK360_BASE_URL"], max_queue_size=count + 1)
            for number in range(count):
                client.track(str(number), "Payment", _properties(number))
            client.flush()
            client.join()


def segment_filled() -> None:
    """Feed the queue of Segment's client when asked to, and start its own consumer on the word."""
    from segment.analytics.client import Client  # noqa: PLC0415  only here

    client: Any = None
    for word in words("segment-filled"):
        if word["word"] == "fill":
            # Without `send` it makes messages and starts no consumer.
            client = Client("benchmark", host=os.environ["TRACK360_BASE_URL"], send=False)
            for number in range(word["count"]):
                client.queue.put(client.track(str(number), "Payment", _properties(number))[1])
        else:
            for consumer in client.consumers:
                consumer.start()
            client.queue.join()
            for consumer in client.consumers:
                consumer.pause()


def drain() -> None:
    """Deliver what is due."""
    from track360_django import delivery  # noqa: PLC0415  after django.setup()

    for word in words("drain"):
        _forget_peak()
        begun = time.monotonic()
        delivery.drain(budget_seconds=3_600)
        word["answer"] = {
            "seconds": time.monotonic() - begun,
            "peak_kilobytes": _kilobytes("VmHWM"),
            "end_kilobytes": _kilobytes("VmRSS"),
        }


def _forget_peak() -> None:
    """Begin a new peak: that of the imports is higher than what is looked for. Some containers forbid it."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _kilobytes(name: str) -> int:
    """Return a line of what Linux says of this process's memory."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition(f"{name}:")[2].split()[0])


def _properties(number: int) -> dict[str, str]:
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M")
    return {
        "reference": f"TX-{number:020}",
        "createtime": now,
        "Value": "25.00",
        "Currency": "USD",
    }


LOOPS: Final[dict[str, Callable[[], None]]] = {
    "raw": raw,
    "bare": bare,
    "segment": segment,
    "segment-filled": segment_filled,
    "drain": drain,
}

if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    django.setup()
    LOOPS[sys.argv[1]]()
