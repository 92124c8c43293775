"""All workers that a front sends people to, and who of them has whom: rooms stay together.

Who starts them, and which one is to have somebody new, is a ``Crew``'s (processes of this machine) or a fleet's.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from realtime_dub.web.config import SessionOptions, room_voice, rooms_of
from realtime_dub.web.refusals import Refusal
from realtime_dub.web.studio.avatar_training import Trainings
from realtime_dub.web.studio.avatars import Avatars
from realtime_dub.web.studio.names import owner_of
from realtime_dub.web.studio.pending import make_room
from realtime_dub.web.studio.seats import Seats
from realtime_dub.web.studio.uploads import Uploads, named
from realtime_dub.web.workers.load import Load
from realtime_dub.web.workers.wire import Guest, Order
from realtime_dub.web.workers.worker import Worker

HELD_S = 10.0  # a room is a worker's from when somebody is sent there, until that one is told of


class Roster:
    """On the front's loop. What it says of ``uploads`` and the like is where visitors' files go."""

    uploads: Uploads
    avatars: Avatars
    trainings: Trainings
    revoked: Path  # which links were revoked

    def __init__(self, seats: Seats, count: int) -> None:
        self.seats, self.count = seats, count
        self.workers: list[Worker] = []
        self._held: dict[str, tuple[int, float]] = {}  # rooms: a worker's number, until when at least

    async def start(self) -> None:
        """Raises UserError where it cannot be."""
        raise NotImplementedError

    async def measure(self) -> None:
        """What a machine holds of a camera."""
        raise NotImplementedError

    async def camera(self) -> dict[str, Any]:
        """That, once it is known."""
        return await asyncio.shield(self.workers[0].camera)

    async def close(self) -> None:
        raise NotImplementedError

    def anyone(self) -> Worker:
        """Whom what concerns nobody in particular goes to. Raises Refusal."""
        raise NotImplementedError

    def pick(self, options: SessionOptions) -> Worker:
        """Who is to have somebody who has to do with nobody. Raises Refusal."""
        raise NotImplementedError

    @property
    def spares(self) -> int:
        """Processes that have loaded, and stand in for the next worker that ends."""
        return 0

    def guests(self) -> list[Guest]:
        return [guest for worker in self.workers for guest in worker.guests.values()]

    def loads(self) -> list[Load | None]:
        """Of each worker; None for one that is not ready."""
        return [worker.load if worker.is_ready else None for worker in self.workers]

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
        """Where people of that room are, and may come to."""
        there = [worker for worker in self.workers if worker.is_ready and name not in worker.moving]
        for worker in there:
            if any(name in rooms_of(guest) for guest in worker.guests.values()):
                return worker
        number, until_s = self._held.get(name, (0, 0.0))
        return self.workers[number] if time.monotonic() < until_s and self.workers[number] in there else None

    async def choose(self, options: SessionOptions) -> Worker:
        """Who is to have a new session. Raises Refusal where there is no seat, or nobody yet."""
        self.seats.check(options.role, self.guests())
        await make_room(self.guests(), self.end, time.monotonic())
        worker = self.where(rooms_of(options)) or self.pick(options)
        self.gather(options, worker)
        for name in rooms_of(options):
            self.hold(name, worker)
        return worker

    def where(self, rooms: Iterable[str]) -> Worker | None:
        """Who has the first of them that anybody has."""
        return next((worker for name in rooms if (worker := self.of_room(name)) is not None), None)

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

    def forget_rooms(self) -> None:
        """That nobody has come into."""
        now_s = time.monotonic()
        self._held = {name: held for name, held in self._held.items() if held[1] > now_s}


def starting() -> Refusal:
    return Refusal(503, "The server is starting.", "Try again in a moment.", {"Retry-After": "2"})
