"""A day of a fleet, computed: sessions come and go, rooms meet, workers and nodes end, nodes are drained.

Placement is the fleet's own (`workers/load.py: place`); all else is a model in virtual time, the same for one seed.

| of the model | how |
|---|---|
| arrivals | Poisson; the rate follows a day, from a fifth of its mean at night to 1.8 times it |
| stays | exponential |
| rooms | a share of people opens one; the next comers of such a share join it, up to its size |
| what a session needs | cores for 360p, 480p or 720p |
| late share of a worker | what it needs beyond the cores it has |
| a killed worker | pages ask after 2 s, and shake hands; the worker is back after its start |
| a node that goes | missed after 4 s; back with its workers after its restart |
| a drain | a room at a time; the node is restarted when it is empty |
| nobody takes them | who was displaced tries again every 5 s, and is told that all is full after a minute |
"""

from __future__ import annotations

import argparse
import heapq
import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from random import Random
from typing import Any

from benchmarks.output import last_line, percentiles, show
from realtime_dub.web.workers.load import Load, place

DAY_S = 86_400.0
SAMPLE_S = 60.0
NEEDS = ((0.35, 0.5), (0.55, 0.3), (1.1, 0.2))  # cores of a session, share of sessions
WORKER_MISSED_S, NODE_MISSED_S, HANDSHAKE_S = 2.0, 4.0, (0.8, 1.8)
AGAIN_S, PATIENCE_S = 5.0, 60.0
BETWEEN_ROOMS_S = 1.5
QUIET = 0.1  # of the seats: below, how even a fleet is says nothing
LATE = 0.02
Loads = Sequence[Load | None]
Place = Callable[[Loads], int | None]


@dataclass(frozen=True)
class Fleet:
    sessions: int = 10_000
    nodes: int = 10
    workers: int = 8  # of a node
    seats: int = 4  # of a worker
    cores: float = 2.0  # of a worker
    stay_s: float = 1_200.0
    in_rooms: float = 0.3
    room_size: int = 3
    worker_kills: int = 40
    node_losses: int = 4
    worker_start_s: float = 6.0
    node_start_s: float = 300.0
    drains: bool = True  # each node once
    seed: int = 1


@dataclass(eq=False)
class Session:
    number: int
    needs: float
    room: int | None
    ends_s: float
    worker: int | None = None
    lost_s: float | None = None  # since when it has no worker
    why: str = ""


@dataclass
class Worker:
    node: int
    ready: bool = True
    draining: bool = False
    there: list[Session] = field(default_factory=list)


class Simulation:
    """Of one day. ``run`` gives its figures."""

    def __init__(self, fleet: Fleet, choose: Place = place) -> None:
        self.fleet, self._choose, self._random = fleet, choose, Random(fleet.seed)
        self._workers = [Worker(node) for node in range(fleet.nodes) for _ in range(fleet.workers)]
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._order, self._now_s = itertools.count(), 0.0
        self._rooms: dict[int, set[Session]] = defaultdict(set)
        self._open_room: list[int] = []  # the one that the next comers join, once for each
        self._room_numbers = itertools.count()
        self.counts: Counter[str] = Counter()
        self.back_s: dict[str, list[float]] = defaultdict(list)
        self._uneven: list[float] = []
        self._late_s = self._session_s = 0.0

    def run(self) -> dict[str, Any]:
        self._plan()
        while self._queue:
            self._now_s, _, event = heapq.heappop(self._queue)
            event()
        return self._figures()

    def _at(self, at_s: float, event: Callable[[], None]) -> None:
        heapq.heappush(self._queue, (at_s, next(self._order), event))

    def _after(self, seconds: float, event: Callable[[], None]) -> None:
        self._at(self._now_s + seconds, event)

    # What is to happen.

    def _plan(self) -> None:
        for number in range(self.fleet.sessions):
            self._at(self._arrival_s(), lambda number=number: self._come(number))  # type: ignore[misc]
        for _ in range(self.fleet.worker_kills):
            self._at(self._random.uniform(0, DAY_S), self._kill_worker)
        for _ in range(self.fleet.node_losses):
            self._at(self._random.uniform(0, DAY_S), self._lose_node)
        if self.fleet.drains:
            for node in range(self.fleet.nodes):
                self._at(DAY_S * (0.3 + 0.05 * node), lambda node=node: self._drain(node))  # type: ignore[misc]
        for count in range(int(DAY_S / SAMPLE_S)):
            self._at(count * SAMPLE_S, self._sample)

    def _arrival_s(self) -> float:
        """Given how many come in a day, Poisson arrivals are independent draws of its curve."""
        while True:
            at_s = self._random.uniform(0, DAY_S)
            if self._random.uniform(0, 1.8) < 1.0 - 0.8 * math.cos(2 * math.pi * at_s / DAY_S):
                return at_s

    # Who comes and goes.

    def _come(self, number: int) -> None:
        needs = self._random.choices([cores for cores, _ in NEEDS], [share for _, share in NEEDS])[0]
        ends_s = self._now_s + self._random.expovariate(1 / self.fleet.stay_s)
        session = Session(number, needs, self._room(), ends_s)
        if self._settle(session):
            self.counts["placed"] += 1
            self._at(ends_s, lambda: self._leave(session))
        else:
            self.counts["rejected"] += 1

    def _room(self) -> int | None:
        if self._random.random() > self.fleet.in_rooms:
            return None
        if not self._open_room:
            self._open_room = [next(self._room_numbers)] * self._random.randint(2, self.fleet.room_size)
        return self._open_room.pop()

    def _leave(self, session: Session) -> None:
        if session.worker is not None:
            self._workers[session.worker].there.remove(session)
        self._forget(session)

    def _forget(self, session: Session) -> None:
        session.worker = None
        if session.room is not None:
            self._rooms[session.room].discard(session)

    def _settle(self, session: Session) -> bool:
        """Send it to its room's worker, else to the one that is chosen; whether there is a seat."""
        of_room = {each.worker for each in self._rooms[session.room]} - {None} if session.room is not None else set()
        loads = self._loads()
        if of_room:
            (number,) = of_room
            self.counts["joined"] += 1
            if self._workers[number].draining or len(self._workers[number].there) >= self.fleet.seats:  # type: ignore[index]
                return False
        elif (number := self._choose(loads)) is None:
            self.counts["refused_while_free"] += any(load is not None and load.takes for load in loads)
            return False
        self._sit(session, number)  # type: ignore[arg-type]
        return True

    def _sit(self, session: Session, number: int) -> None:
        worker = self._workers[number]
        self.counts["misplaced"] += not worker.ready or worker.draining or len(worker.there) >= self.fleet.seats
        session.worker = number
        worker.there.append(session)
        if session.room is not None:
            self._rooms[session.room].add(session)
            at = {each.worker for each in self._rooms[session.room] if each.worker is not None}
            self.counts["split_rooms"] += len(at) > 1

    def _loads(self) -> list[Load | None]:
        """As a gateway has them: measured a moment ago, with who is there by now."""
        return [self._load(worker) for worker in self._workers]

    def _load(self, worker: Worker) -> Load | None:
        if not worker.ready:
            return None
        need = sum(each.needs for each in worker.there)
        return Load(
            seats=self.fleet.seats,
            dubbed=len(worker.there),
            late=late(need, self.fleet.cores),
            busy=min(1.0, need / self.fleet.cores),
            draining=worker.draining,
        )

    # What ends.

    def _kill_worker(self) -> None:
        if ready := [number for number, worker in enumerate(self._workers) if worker.ready]:
            number = self._random.choice(ready)
            self._end([number], "worker", WORKER_MISSED_S, self.fleet.worker_start_s)

    def _lose_node(self) -> None:
        self._end(self._of(self._random.randrange(self.fleet.nodes)), "node", NODE_MISSED_S, self.fleet.node_start_s)

    def _end(self, numbers: list[int], why: str, missed_s: float, start_s: float) -> None:
        for number in numbers:
            worker = self._workers[number]
            worker.ready, lost, worker.there = False, worker.there, []
            for session in lost:
                self._displace(session, why, missed_s)
            self._after(start_s, lambda worker=worker: self._begin(worker))  # type: ignore[misc]

    def _begin(self, worker: Worker) -> None:
        worker.ready, worker.draining = True, False

    def _displace(self, session: Session, why: str, missed_s: float) -> None:
        self.counts["displaced"] += 1
        session.worker, session.lost_s, session.why = None, self._now_s, why
        self._after(missed_s, lambda: self._return(session))

    def _return(self, session: Session) -> None:
        assert session.lost_s is not None
        if session.ends_s < self._now_s:
            self.counts["left_meanwhile"] += 1
        elif self._settle(session):
            self.counts["placed_again"] += 1
            took_s = self._now_s - session.lost_s + self._random.uniform(*HANDSHAKE_S)
            self.back_s[session.why].append(took_s)
        elif self._now_s - session.lost_s > PATIENCE_S:
            self.counts["told_full"] += 1
            self._forget(session)
        else:
            self._after(AGAIN_S, lambda: self._return(session))

    def _of(self, node: int) -> list[int]:
        return [number for number, worker in enumerate(self._workers) if worker.node == node]

    def _drain(self, node: int) -> None:
        for number in self._of(node):
            self._workers[number].draining = True
        self._move(node)

    def _move(self, node: int) -> None:
        """The room of whoever came first, then the next one; nobody: the node is restarted."""
        for number in self._of(node):
            worker = self._workers[number]
            if worker.ready and worker.draining and worker.there:
                room = worker.there[0].room
                moved = worker.there[:1] if room is None else [each for each in worker.there if each.room == room]
                worker.there = [each for each in worker.there if each not in moved]
                for session in moved:
                    self._displace(session, "drain", 0.0)
                self._after(BETWEEN_ROOMS_S, lambda: self._move(node))
                return
        self._end(self._of(node), "restart", 0.0, self.fleet.node_start_s)

    # What is seen of it.

    def _sample(self) -> None:
        open_ = [worker for worker in self._workers if worker.ready and not worker.draining]
        taken = [len(worker.there) for worker in open_]
        if sum(taken) > QUIET * self.fleet.seats * len(self._workers):
            self._uneven.append(max(taken) * len(taken) / sum(taken))
        for worker in open_:
            share = late(sum(each.needs for each in worker.there), self.fleet.cores)
            self._session_s += SAMPLE_S * len(worker.there)
            self._late_s += SAMPLE_S * len(worker.there) * (share > LATE)

    def _figures(self) -> dict[str, Any]:
        names = ("placed", "rejected", "displaced", "placed_again", "told_full", "left_meanwhile")
        wrong = ("misplaced", "split_rooms", "refused_while_free")
        return {
            **{name: self.counts[name] for name in (*names, *wrong)},
            "max_to_mean": round(percentiles(self._uneven)["p50"], 2) if self._uneven else None,
            "late_percent": round(100 * self._late_s / self._session_s, 2) if self._session_s else 0.0,
            "back_s": {
                why: {name: round(value, 1) for name, value in percentiles(took).items()}
                for why, took in sorted(self.back_s.items())
            },
        }


def late(need: float, cores: float) -> float:
    """Share of a worker's frames, where its sessions need so many cores."""
    return max(0.0, 1 - cores / need) if need else 0.0


def at_random(seed: int) -> Place:
    """Anyone who takes people: what placement is compared with."""
    random = Random(seed)

    def choose(loads: Loads) -> int | None:
        can = [number for number, load in enumerate(loads) if load is not None and load.takes]
        return random.choice(can) if can else None

    return choose


def add_to(commands: Any) -> None:
    parser = commands.add_parser("simulate", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in asdict(Fleet()).items():
        if not isinstance(value, bool):
            parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    fleet = Fleet(**{name: value for name, value in vars(args).items() if name in asdict(Fleet())})
    found = {
        "by load": Simulation(fleet).run(),
        "at random": Simulation(fleet, at_random(fleet.seed)).run(),
    }
    names = [name for name in found["by load"] if name != "back_s"]
    rows = [(name.replace("_", " "), *(each[name] for each in found.values())) for name in names]
    show(f"{fleet.sessions} sessions in a day", ("what", *found), rows)
    back = [(why, *(took[name] for name in ("p50", "p95", "max"))) for why, took in found["by load"]["back_s"].items()]
    show("back with another worker, by load", ("after", "p50, s", "p95, s", "max, s"), back)
    last_line({"fleet": asdict(fleet), **found})
