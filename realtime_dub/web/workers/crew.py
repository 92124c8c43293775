"""All workers, and who of them has whom: rooms stay together, whoever came first keeps a worker to themself.

A worker is chosen for a session by its room, else by the room that its voice comes from, else by how many it dubs. The
one that has who came first counts as one more: who comes later shares with who comes later.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import tempfile
import time
from pathlib import Path

from realtime_dub.errors import UserError
from realtime_dub.pipeline.precedence import Order as Precedences
from realtime_dub.pipeline.precedence import PlaceInOrder
from realtime_dub.web import limits
from realtime_dub.web.config import ServeConfig, SessionOptions, room_voice
from realtime_dub.web.refusals import Refusal
from realtime_dub.web.studio.avatar_training import Trainings
from realtime_dub.web.studio.avatars import Avatars
from realtime_dub.web.studio.folder import ServerFolder
from realtime_dub.web.studio.names import owner_of
from realtime_dub.web.studio.pending import make_room
from realtime_dub.web.studio.seats import Seats
from realtime_dub.web.studio.session import FULL
from realtime_dub.web.studio.uploads import Uploads, named
from realtime_dub.web.upkeep import Tasks, repeat, until
from realtime_dub.web.workers.wire import Guest, Order, Task
from realtime_dub.web.workers.worker import Worker

HELD_S = 10.0  # a room is a worker's from when somebody is sent there, until that one is told of
SWEEP_S = 5.0
START_S = 60.0  # until the first one is ready
LONGEST_PATH = 90  # characters of a socket's: the system takes a hundred


class Crew:
    """On the front's loop."""

    def __init__(self, config: ServeConfig, count: int) -> None:
        """Blocking."""
        self.config, self.count = config, count
        self.seats = Seats(config)
        self._folder = ServerFolder(config.port)
        self.uploads = Uploads(config.upload_mb * 1_000_000, self._folder.uploads)
        self.avatars = Avatars(config, self._folder.avatars, self.uploads)
        self.trainings = Trainings(self.avatars, self.uploads, config.train_avatars)
        self.revoked = self._folder.revoked
        self._sockets = _socket_folder()
        self._precedence = Precedences()
        self._places: dict[str, PlaceInOrder] = {}
        self._held: dict[str, tuple[int, float]] = {}  # rooms: a worker's number, until when at least
        self._told: Order | None = None
        self._fps: float | None = None
        self.workers: list[Worker] = []

    async def start(self) -> None:
        """The first one is ready then, the others follow. Raises UserError where it cannot be."""
        self._tasks = Tasks("crew")
        self.workers = [Worker(self._task(number), self._changed, self._is_ready) for number in range(self.count)]
        self._tasks.spawn(self.workers[0].run(), "worker 0")
        self._tasks.spawn(repeat(SWEEP_S, self._sweep), "sweeper")
        first = self.workers[0]
        await until(lambda: first.is_ready or bool(first.failed), START_S)
        if not first.is_ready:
            raise UserError(first.failed or f"nothing that dubs was ready within {START_S:g} s")

    async def measure(self) -> None:
        """What this machine holds, by the first one, before the others take its time; then these are started."""
        self.workers[0].tell(Order(measure=True))
        try:
            self._fps = (await asyncio.shield(self.workers[0].camera))["fps"]
        finally:
            for worker in self.workers[1:]:
                self._tasks.spawn(worker.run(), f"worker {worker.number}")

    async def close(self) -> None:
        within_s = limits.STOP_S - limits.ANSWERS_S
        await asyncio.gather(*(worker.close(within_s) for worker in self.workers))
        await self._tasks.close()
        await asyncio.to_thread(self._close_files)

    # Who has whom.

    def guests(self) -> list[Guest]:
        return [guest for worker in self.workers for guest in worker.guests.values()]

    def of(self, name: str) -> Worker:
        """Whose session that is. Raises Refusal."""
        worker = self.workers[owner_of(name, self.count)]
        if not worker.is_ready:
            raise Refusal(404, "There is no such session.", "Start a new one.")
        return worker

    def holding(self, recording: str) -> Worker:
        """Who has it. Raises Refusal while that one is being started."""
        worker = self.workers[owner_of(recording, self.count)]
        if not worker.is_ready:
            raise starting()
        return worker

    def of_room(self, name: str) -> Worker | None:
        """Where people of that room are."""
        for worker in self.workers:
            if worker.is_ready and any(name in _rooms(guest) for guest in worker.guests.values()):
                return worker
        number, until_s = self._held.get(name, (0, 0.0))
        return self.workers[number] if time.monotonic() < until_s and self.workers[number].is_ready else None

    async def choose(self, options: SessionOptions) -> Worker:
        """Who is to have a new session. Raises Refusal where there is no seat, or nobody yet."""
        self.seats.check(options.role, self.guests())
        await make_room(self.guests(), self.end, time.monotonic())
        known = [worker for name in _rooms(options) if (worker := self.of_room(name)) is not None]
        worker = known[0] if known else self.idlest()
        self.gather(options, worker)
        for name in _rooms(options):
            self.hold(name, worker)
        return worker

    def hold(self, name: str, worker: Worker) -> None:
        """Whoever comes into that room in the next seconds goes there."""
        self._held[name] = worker.number, time.monotonic() + HELD_S

    def gather(self, options: SessionOptions, worker: Worker) -> None:
        """Whoever speaks in the room that the voice comes from is to be there, too: their pages come back by
        themselves. Raises Refusal where somebody sends a picture in it.
        """
        name, _ = room_voice(options.voice) or ("", "")
        other = self.of_room(name) if name else None
        if other is None or other is worker:
            return
        there = [guest for guest in other.guests.values() if guest.room == name]
        if any(guest.role == "studio" for guest in there):
            do = "Stop, choose the voice, and start again."
            raise Refusal(409, "Somebody sends a picture in that room.", do)
        for guest in there:
            other.tell(Order(end=guest.id, why="the room moves"))
        self.hold(name, worker)

    async def revoke(self, room: str, role: str, until_ms: int) -> None:
        """Whoever came by a link for that role which was made until then has to go."""
        for worker in self.workers:
            worker.tell(Order(revoked=(room, role, until_ms)))

    async def end(self, id: str, why: str) -> None:
        self.of(id).tell(Order(end=id, why=why))

    async def end_showing(self, picture: str, why: str) -> None:
        for guest in self.guests():
            if guest.picture == picture:
                with contextlib.suppress(Refusal):  # its worker is gone, and it with that
                    await self.end(guest.id, why)

    def used_uploads(self) -> set[str]:
        return named(choice for guest in self.guests() for choice in (guest.voice, guest.picture, guest.background))

    def idlest(self) -> Worker:
        """Raises Refusal."""
        ready = [worker for worker in self.workers if worker.is_ready]
        if not ready:
            raise starting()
        first = min((guest.since_s for guest in self.guests() if _is_dubbed(guest)), default=0.0)

        def load(worker: Worker) -> tuple[int, float]:
            since_s = [guest.since_s for guest in worker.guests.values() if guest.role == "studio"]
            return len(since_s) + (first in since_s), -min(since_s, default=0.0)

        return min(ready, key=load)

    # What follows from it.

    def _is_ready(self, worker: Worker) -> None:
        if self._fps is not None:
            worker.tell(Order(fps=self._fps))
        self._told = None
        self._changed(worker)

    def _changed(self, worker: Worker) -> None:
        """Of its guests somebody came, went, or was dubbed in time or not: the others' counts were taken before."""
        guests, now_ns = self.guests(), time.monotonic_ns()
        self._keep_places(guests)
        for guest in worker.guests.values():
            if (place := self._places.get(guest.id)) is not None:
                for in_time in (*[True] * guest.made, *[False] * guest.missed):
                    place.wanted(in_time, now_ns)
        self._end_those_too_many(guests)
        yields = [id for id, place in self._places.items() if place.yields(now_ns)]
        order = Order(yields=yields, dubbed=len(self._places))
        if order != self._told:
            self._told = order
            for worker in self.workers:
                worker.tell(order)

    def _keep_places(self, guests: list[Guest]) -> None:
        dubbed = {guest.id for guest in guests if _is_dubbed(guest)}
        for id in set(self._places) - dubbed:
            self._places.pop(id).leave()
        for guest in sorted(guests, key=lambda each: each.since_s):
            if guest.id in dubbed and guest.id not in self._places:
                self._places[guest.id] = self._precedence.take_place()

    def _end_those_too_many(self, guests: list[Guest]) -> None:
        """Two that came at the same moment may have had one seat."""
        for role, most in self.seats.most.items():
            seated = sorted((each for each in guests if each.role == role and each.came), key=lambda each: each.since_s)
            for guest in seated[most:]:
                self.of(guest.id).tell(Order(end=guest.id, why=FULL))

    async def _sweep(self) -> None:
        now_s = time.monotonic()
        self._held = {name: held for name, held in self._held.items() if held[1] > now_s}
        await asyncio.to_thread(self.uploads.sweep, self.used_uploads())
        await asyncio.to_thread(self.avatars.sweep)

    # Files.

    def _task(self, number: int) -> Task:
        # Who lets people in is the front: its doors, its token, its certificate.
        config = self.config.model_copy(update={"token": None, "tls_cert": None, "tls_key": None})
        socket, folder = self._sockets / f"{number}", self._folder
        return Task(config=config, number=number, of=self.count, socket=socket,
                    uploads=folder.uploads, recordings=folder.recordings, avatars=folder.avatars)  # fmt: skip

    def _close_files(self) -> None:
        self.trainings.close()
        self.avatars.close()
        self.uploads.close()
        shutil.rmtree(self._sockets, ignore_errors=True)
        self._folder.close()


def starting() -> Refusal:
    return Refusal(503, "The server is starting.", "Try again in a moment.", {"Retry-After": "2"})


def _rooms(of: Guest | SessionOptions) -> list[str]:
    """In which it has to do with others, the most binding first."""
    spoken = room_voice(of.voice)
    return [room for room in (of.room, spoken and spoken[0]) if room]


def _is_dubbed(guest: Guest) -> bool:
    return guest.role == "studio" and guest.came


def _socket_folder() -> Path:
    """Where nobody else can look."""
    with contextlib.suppress(OSError):
        path = Path(tempfile.mkdtemp(prefix="realtime-dub-"))
        if len(str(path)) < LONGEST_PATH:
            return path
        path.rmdir()
    return Path(tempfile.mkdtemp(prefix="realtime-dub-", dir="/tmp"))
