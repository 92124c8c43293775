"""A worker's side of the channel: tells whom it has, and does what it is told."""

from __future__ import annotations

import threading
from typing import Any

from realtime_dub.web.http.api import camera_fields
from realtime_dub.web.studio.session import Session
from realtime_dub.web.studio.studio import Studio
from realtime_dub.web.upkeep import Tasks, repeat
from realtime_dub.web.workers.wire import Channel, Guest, Order, Report

LOOK_S = 0.1


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


class Secretary:
    """On the worker's loop."""

    def __init__(self, studio: Studio, channel: Channel) -> None:
        self._studio, self._channel = studio, channel
        self._tasks = Tasks("worker")
        self._told: list[Guest] = []

    async def work(self) -> None:
        """Until the channel ends."""
        self._channel.tell(Report(offers=self._studio.to_dict()))
        self._tasks.spawn(repeat(LOOK_S, self._tell), "telling")
        async for line in self._channel.lines():
            await self._obey(Order.model_validate(line))

    async def close(self) -> None:
        await self._tasks.close()

    async def _tell(self) -> None:
        guests = [_guest(each) for each in self._studio.sessions.values() if not each.closed]
        if guests != self._told:
            self._told = guests
            self._channel.tell(Report(guests=guests))

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
