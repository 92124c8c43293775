"""The processes that dub on this machine; whoever came first keeps one to themself.

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
from socket import AF_UNIX, socket

from realtime_dub.errors import UserError
from realtime_dub.pipeline.precedence import Order as Precedences
from realtime_dub.pipeline.precedence import PlaceInOrder
from realtime_dub.web import limits
from realtime_dub.web.config import ServeConfig, SessionOptions
from realtime_dub.web.studio.avatar_training import Trainings
from realtime_dub.web.studio.avatars import Avatars
from realtime_dub.web.studio.folder import ServerFolder
from realtime_dub.web.studio.seats import Seats
from realtime_dub.web.studio.session import FULL
from realtime_dub.web.studio.uploads import Uploads
from realtime_dub.web.upkeep import Tasks, repeat, until
from realtime_dub.web.workers.roster import Roster, starting
from realtime_dub.web.workers.spare import Spare
from realtime_dub.web.workers.wire import Guest, Order, Task
from realtime_dub.web.workers.worker import ProcessBody, Worker

SWEEP_S = 5.0
START_S = 60.0  # until the first one is ready
LONGEST_PATH = 90  # characters of a socket's: the system takes a hundred


class Crew(Roster):
    """On the front's loop."""

    def __init__(self, config: ServeConfig, count: int) -> None:
        """Blocking."""
        super().__init__(Seats(config), count)
        self.config = config
        self._folder = ServerFolder(config.port)
        self.uploads = Uploads(config.upload_mb * 1_000_000, self._folder.uploads)
        self.avatars = Avatars(config, self._folder.avatars, self.uploads)
        self.trainings = Trainings(self.avatars, self.uploads, config.train_avatars)
        self.revoked = self._folder.revoked
        self._sockets = for_sockets(self._folder.sockets)
        self._spare = Spare(self._task(0))
        self._precedence = Precedences()
        self._places: dict[str, PlaceInOrder] = {}
        self._told: Order | None = None
        self._fps: float | None = None

    async def start(self) -> None:
        """The first one is ready then, the others follow. Raises UserError where it cannot be."""
        self._tasks = Tasks("crew")
        bodies = [ProcessBody(self._task(number), self._spare) for number in range(self.count)]
        self.workers = [Worker(number, body, self._changed, self._is_ready) for number, body in enumerate(bodies)]
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
            if self.config.spare:
                self._tasks.spawn(self._spare.run(), "spare")

    async def close(self) -> None:
        within_s = limits.STOP_S - limits.ANSWERS_S
        await asyncio.gather(*(worker.close(within_s) for worker in self.workers))
        await self._tasks.close()
        await asyncio.to_thread(self._close_files)

    @property
    def spares(self) -> int:
        return int(self._spare.waits)

    # Who is to have whom.

    def pick(self, options: SessionOptions) -> Worker:
        return self.idlest()

    def anyone(self) -> Worker:
        return self.idlest()

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
        self.forget_rooms()
        await asyncio.to_thread(self.uploads.sweep, self.used_uploads())
        await asyncio.to_thread(self.avatars.sweep)

    # Files.

    def _task(self, number: int) -> Task:
        # Who lets people in is the front: its doors, its token, its certificate.
        config = self.config.model_copy(update={"token": None, "tls_cert": None, "tls_key": None})
        socket, folder = self._sockets / f"{number}", self._folder
        return Task(
            config=config,
            number=number,
            of=self.count,
            socket=socket,
            uploads=folder.uploads,
            recordings=folder.recordings,
            avatars=folder.avatars,
            leases=folder.leases,
        )

    def _close_files(self) -> None:
        self.trainings.close()
        self.avatars.close()
        self.uploads.close()
        shutil.rmtree(self._sockets, ignore_errors=True)
        self._folder.close()


def _is_dubbed(guest: Guest) -> bool:
    return guest.role == "studio" and guest.came


def for_sockets(folder: Path) -> Path:
    """``folder``, or another where nobody else can look, if it takes no sockets: of such long names, or on its disk."""
    tried = folder / "tried"
    with contextlib.suppress(OSError), socket(AF_UNIX) as bound:
        if len(str(folder)) < LONGEST_PATH:
            bound.bind(str(tried))
            tried.unlink()
            return folder
    return Path(tempfile.mkdtemp(prefix="realtime-dub-", dir="/tmp"))
