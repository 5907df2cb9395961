"""The chaos operator: a plan made of a seed, and the hands that carry it out on a stage."""

from __future__ import annotations

import itertools
import os
import random
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from example_project.processes import Process
from tests.faults import api, behaviours
from tests.faults.api import Exchange, Plan
from tests.faults.behaviours import Fault
from tests.faults.stage import Stage

# After a signal, what was under way may still arrive.
AFTERMATH_SECONDS: Final = 0.5
# When the producers have started; the workers are ready by then.
FIRST_SECONDS: Final = 1.5
# How long a worker may take over a cold shutdown.
COLD_SECONDS: Final = 5.0
FLAP_SECONDS: Final = 0.4


@dataclass(frozen=True, kw_only=True)
class Act:
    """One act of chaos, at its time in seconds from the beginning; `lot` decides what the name leaves open."""

    at: float
    name: str
    lot: int

    def __str__(self) -> str:
        return f"{self.at:5.1f} s  {self.name}"


def plan(seed: int, seconds: float, database: str) -> tuple[Act, ...]:
    """Return the acts of a seed, in order: the API's moods and the fates of processes and servers in turns."""
    lot = random.Random(seed)
    fates = _in_turns(lot, [name for name in FATES if database == "postgres" or name not in POSTGRES_ONLY])
    moods = _in_turns(lot, list(MOODS))
    acts: list[Act] = []
    at = FIRST_SECONDS
    for names in itertools.cycle((moods, fates)):
        if at >= seconds:
            break
        acts.append(Act(at=round(at, 1), name=next(names), lot=lot.randrange(10**6)))
        at += lot.uniform(0.2, 0.8)
    return tuple(acts)


def _in_turns(lot: random.Random, names: list[str]) -> Iterator[str]:
    """Yield names for ever, each once before any comes twice."""
    while True:
        yield from lot.sample(names, len(names))


class Operator:
    """
    Carries out acts.

    Attributes:
        disturbances: From when to when something was killed, stopped or restarted.
    """

    def __init__(self, stage: Stage, seed: int, until: float) -> None:
        self.stage = stage
        self.disturbances: list[tuple[float, float]] = []
        self._seed = seed
        self._until = until
        self._stopped: list[tuple[float, float, Process]] = []
        self._is_broker_paused = False

    def perform(self, act: Act) -> None:
        """Do one act."""
        (MOODS | FATES)[act.name](self, random.Random(act.lot))

    def tick(self) -> None:
        """Continue what was stopped for long enough; start again what has died."""
        now = time.monotonic()
        for stopped in list(self._stopped):
            since, until, process = stopped
            if now >= until:
                self._stopped.remove(stopped)
                process.resume()
                self.disturbances.append((since, now + AFTERMATH_SECONDS))
        for name, worker in list(self.stage.workers.items()):
            if not worker.is_running:
                self.stage.start_worker(name)
        for name, producer in list(self.stage.producers.items()):
            if not producer.is_running:
                del self.stage.producers[name]
                if self._until - now > 1.0:
                    self.stage.start_producer(self._seed, self._until - now)

    def heal(self) -> None:
        """End all that was done: servers answer, processes go on, the key is right."""
        self._stopped = [(since, 0.0, process) for since, _, process in self._stopped]
        self.tick()
        self.stage.api.plan = api.obey
        self.stage.api.token = api.TOKEN
        self.stage.redis.resume()
        if not self.stage.redis.process.is_running:
            self.stage.redis.restart()

    # Processes.

    def kill_pool_child(self, lot: random.Random) -> None:
        """Kill one process that executes tasks; its parent lives."""
        children = [pid for worker in self._running_workers() for pid in children_of(worker.pid)]
        if children:
            os.kill(lot.choice(children), signal.SIGKILL)
            self._note()

    def kill_worker(self, lot: random.Random) -> None:
        """Kill a worker and its pool."""
        self._kill(self._running_workers(), lot)

    def kill_worker_head(self, lot: random.Random) -> None:
        """Kill the main process of a worker alone."""
        if workers := self._running_workers():
            os.kill(lot.choice(workers).pid, signal.SIGKILL)
            self._note()

    def kill_beat(self, _lot: random.Random) -> None:
        """Kill beat."""
        self.stage.workers["beat"].kill()

    def kill_producer(self, lot: random.Random) -> None:
        """Kill a process of the host, most likely in a transaction."""
        self._kill(list(self.stage.producers.values()), lot)

    def stop_worker(self, lot: random.Random) -> None:
        """Stop a worker and its pool for a while."""
        if workers := [each for each in self._running_workers() if each not in self._frozen()]:
            worker = lot.choice(workers)
            worker.pause()
            now = time.monotonic()
            self._stopped.append((now, now + lot.uniform(1.0, 4.0), worker))

    def shut_down_warmly(self, lot: random.Random) -> None:
        """Ask a worker to end when its tasks are done."""
        self._signal(lot, signal.SIGTERM)

    def shut_down_coldly(self, lot: random.Random) -> None:
        """Ask a worker to end at once."""
        self._signal(lot, signal.SIGQUIT)

    # Servers.

    def kill_broker(self, _lot: random.Random) -> None:
        """Kill Redis and start it again, empty."""
        self.stage.redis.kill()
        self.stage.redis.restart()
        self._is_broker_paused = False

    def toggle_broker(self, _lot: random.Random) -> None:
        """Freeze Redis, or let it go on."""
        (self.stage.redis.resume if self._is_broker_paused else self.stage.redis.pause)()
        self._is_broker_paused = not self._is_broker_paused

    def flush_broker(self, _lot: random.Random) -> None:
        """Throw away all that is queued."""
        if not self._is_broker_paused:
            self.stage.redis.command("FLUSHALL")

    def restart_database(self, _lot: random.Random) -> None:
        """Restart Postgres: connections are cut, transactions rolled back."""
        if self.stage.postgres:
            begin = time.monotonic()
            self.stage.postgres.restart()
            self.disturbances.append((begin, time.monotonic() + AFTERMATH_SECONDS))

    # The API.

    def api_obeys(self, lot: random.Random) -> None:
        """Let the API be well, and now and then a little slow: whoever dies then, dies during a request."""
        self._set_mood(api.one_of([behaviours.OBEY, behaviours.LATE], lot.random()))

    def api_does_anything(self, lot: random.Random) -> None:
        """Let the API do any of its faults, by lot."""
        self._set_mood(api.one_of(self._any_faults(lot), lot.random()))

    def api_is_unclear(self, lot: random.Random) -> None:
        """Let the API take records and say nothing that could be understood."""
        self._set_mood(api.one_of([*behaviours.UNCLEAR.values(), behaviours.OBEY], lot.random()))

    def api_flaps(self, _lot: random.Random) -> None:
        """Let the API be down every other moment."""
        self._set_mood(flap)

    def api_is_down(self, _lot: random.Random) -> None:
        """Let the API reset all connections."""
        self._set_mood(api.always(behaviours.not_taken(behaviours.UNCLEAR["reset-after-processing"])))

    def api_refuses_some(self, _lot: random.Random) -> None:
        """Let the API refuse each batch with a record whose id ends with 7."""
        self._set_mood(api.refuse(lambda record: record.key[-1].endswith("7")))

    def api_takes_few(self, _lot: random.Random) -> None:
        """Let the API find batches of more than two records too large."""
        self._set_mood(api.refuse_more_than(2))

    def api_has_another_key(self, _lot: random.Random) -> None:
        """Let the API know another key than ours."""
        self._set_mood(api.obey)
        self.stage.api.token = "rotated"

    def _set_mood(self, mood: Plan) -> None:
        self.stage.api.token = api.TOKEN
        self.stage.api.plan = mood

    def _any_faults(self, lot: random.Random) -> Sequence[Fault]:
        unclear = list(behaviours.UNCLEAR.values())
        return [
            *unclear,
            *map(behaviours.not_taken, unclear),
            *behaviours.CLEAR.values(),
            *lot.sample(list(behaviours.SLOW.values()), 2),
            *(behaviours.status(code) for code in lot.sample(range(200, 600), 15)),
            *(behaviours.status(code, is_processed=True) for code in lot.sample(range(400, 600), 5)),
            *(
                behaviours.busy(after)
                for after in ("1", "-5", behaviours.GARBAGE, str(behaviours.YEAR_SECONDS))
            ),
            behaviours.busy(behaviours.in_seconds(3600), 503),
            behaviours.redirect(self.stage.trap.url),
            *[behaviours.LATE] * 20,
        ]

    # Hands.

    def _running_workers(self) -> list[Process]:
        return [
            each for name, each in sorted(self.stage.workers.items()) if name != "beat" and each.is_running
        ]

    def _frozen(self) -> list[Process]:
        return [process for _, _, process in self._stopped]

    def _kill(self, processes: Sequence[Process], lot: random.Random) -> None:
        if processes:
            lot.choice(list(processes)).kill()
            self._note()

    def _signal(self, lot: random.Random, number: signal.Signals) -> None:
        if workers := [each for each in self._running_workers() if each not in self._frozen()]:
            os.kill(lot.choice(workers).pid, number)
            if number is signal.SIGQUIT:
                self._note(COLD_SECONDS)

    def _note(self, seconds: float = AFTERMATH_SECONDS) -> None:
        now = time.monotonic()
        self.disturbances.append((now, now + seconds))


def flap(_exchange: Exchange) -> Fault:
    """Be well and unwell in turns."""
    is_well = int(time.monotonic() / FLAP_SECONDS) % 2
    return behaviours.OBEY if is_well else behaviours.status(503)


def children_of(pid: int) -> Iterator[int]:
    """Yield the ids of a process's children."""
    listing = Path(f"/proc/{pid}/task/{pid}/children")
    yield from map(int, listing.read_text().split() if listing.exists() else ())


def _named(names: Iterable[str]) -> dict[str, Callable[[Operator, random.Random], None]]:
    return {name.replace("_", " "): getattr(Operator, name) for name in names}


_PUBLIC: Final = [name for name in vars(Operator) if not name.startswith("_")]
MOODS: Final = _named(name for name in _PUBLIC if name.startswith("api_"))
FATES: Final = _named(
    name for name in _PUBLIC if not name.startswith("api_") and name not in {"perform", "tick", "heal"}
)
POSTGRES_ONLY: Final = frozenset({"restart database"})
