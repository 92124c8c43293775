"""A worker's side of the channel: tells whom it has, and does what it is told."""

from __future__ import annotations

import threading
import time
from typing import Any

from realtime_dub.web.http.api import camera_fields
from realtime_dub.web.studio.session import Session
from realtime_dub.web.studio.studio import Studio
from realtime_dub.web.upkeep import Tasks, repeat
from realtime_dub.web.workers.drain import Drain, Keep
from realtime_dub.web.workers.gauge import Gauge
from realtime_dub.web.workers.load import Load
from realtime_dub.web.workers.wire import Channel, Guest, Order, Report

LOOK_S = 0.1
LOAD_S = 1.0
ALIVE_S = 1.0  # something is told at least so often


class CountedPlace:
    """Counts for the front, which decides who yields (``pipeline.precedence``)."""

    def __init__(self) -> None:
        self.yielding = False
        self._lock = threading.Lock()
        self._made = self._missed = 0

    def leave(self) -> None:
        self.yielding = False

    def yields(self, now_ns: int) -> bool:
        return self.yielding

    def wanted(self, in_time: bool, now_ns: int) -> None:
        with self._lock:
            self._made += in_time
            self._missed += not in_time

    def take(self) -> tuple[int, int]:
        """Mouths that were made and missed since it was last asked."""
        with self._lock:
            counts, self._made, self._missed = (self._made, self._missed), 0, 0
            return counts


class CountedOrder:
    """Places that the front puts in order."""

    def take_place(self) -> CountedPlace:
        return CountedPlace()


class Duties:
    """What a worker does by order, whoever gives it: one of it, however many secretaries. On the worker's loop."""

    def __init__(self, studio: Studio, keep: Keep | None = None) -> None:
        self._gauge, self._drain, self._tasks = Gauge(studio), Drain(studio, keep), Tasks("duties")
        self._draining: Tasks | None = None

    def begin(self) -> None:
        self._tasks.spawn(repeat(LOAD_S, self._gauge.look), "measuring")

    async def close(self) -> None:
        await self.drain(False)
        await self._tasks.close()

    @property
    def load(self) -> Load:
        return self._gauge.load.model_copy(update={"draining": self._draining is not None})

    @property
    def moving(self) -> list[str]:
        """Rooms that are given away."""
        return sorted(self._drain.moving)

    async def drain(self, wanted: bool) -> None:
        """Idempotent."""
        if wanted and self._draining is None:
            self._draining = Tasks("drain")
            self._draining.spawn(self._drain.run(), "draining")
        elif not wanted and self._draining is not None:
            tasks, self._draining = self._draining, None
            await tasks.close()
            self._drain.moving.clear()


class Secretary:
    """One channel's. On the worker's loop."""

    def __init__(self, studio: Studio, channel: Channel, duties: Duties) -> None:
        self._studio, self._channel, self._duties = studio, channel, duties
        self._tasks = Tasks("worker")
        self._told: list[Guest] = []
        self._told_load: Load | None = None
        self._told_moving: list[str] = []
        self._told_s = 0.0

    async def work(self) -> None:
        """Until the channel ends."""
        self._channel.tell(Report(offers=self._studio.to_dict(), load=self._duties.load))
        self._tasks.spawn(repeat(LOOK_S, self._tell), "telling")
        async for line in self._channel.lines():
            await self._obey(Order.model_validate(line))

    async def close(self) -> None:
        await self._tasks.close()

    async def _tell(self) -> None:
        guests = [_guest(each) for each in self._studio.sessions.values() if not each.closed]
        load, moving = self._duties.load, self._duties.moving
        report = Report(
            guests=guests if guests != self._told else None,
            load=load if load != self._told_load else None,
            moving=moving if moving != self._told_moving else None,
        )
        self._told, self._told_load, self._told_moving = guests, load, moving
        now_s = time.monotonic()
        if report != Report() or now_s - self._told_s > ALIVE_S:
            self._told_s = now_s
            self._channel.tell(report)

    async def _obey(self, order: Order) -> None:
        if order.measure:
            self._tasks.spawn(self._measure(), "measuring")
        if order.fps is not None:
            self._studio.go_at(order.fps)
        if order.dubbed is not None:
            here = sum(_dubs(each) for each in self._studio.sessions.values())
            self._studio.dubbed_elsewhere = max(0, order.dubbed - here)
        if order.yields is not None:
            for session in self._studio.sessions.values():
                if isinstance(session.place, CountedPlace):
                    session.place.yielding = session.id in order.yields
        if order.end is not None:
            self._tasks.spawn(self._studio.end(order.end, order.why), "ending")
        if order.drain is not None:
            await self._duties.drain(order.drain)
        if order.revoked is not None:
            self._tasks.spawn(self._studio.links.revoke(*order.revoked), "revoking")

    async def _measure(self) -> None:
        await self._studio.measure()
        self._channel.tell(Report(camera=camera_fields(await self._studio.camera.mode())))


def _dubs(session: Session) -> bool:
    return session.options.role == "studio" and session.came


def _guest(session: Session) -> Guest:
    place: Any = session.place
    made, missed = place.take() if isinstance(place, CountedPlace) else (0, 0)
    options = session.options
    return Guest(
        id=session.id,
        role=options.role,
        room=options.room,
        voice=options.voice,
        picture=options.picture,
        background=options.background,
        came=session.came,
        since_s=session.since_s,
        made=made,
        missed=missed,
    )
