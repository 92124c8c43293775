"""A worker that is to be empty: who is there moves to another one, a room at a time, while nobody in it speaks.

A page whose session ends so comes back by itself, as after a lost connection, and is sent elsewhere.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from realtime_dub.web.config import rooms_of
from realtime_dub.web.studio.session import Session
from realtime_dub.web.studio.studio import Studio

PAUSE_S = 0.3  # of nobody speaking
LONGEST_S = 20.0  # that a pause is waited for
BETWEEN_S = 1.5  # from one room to the next: so long those who moved take to be live again
LOOK_S = 0.05
WHY = "the server moves"
Keep = Callable[[Session], Awaitable[None]]


class Drain:
    """On a worker's loop. ``moving`` are rooms nobody is to be sent to here any more."""

    def __init__(self, studio: Studio, keep: Keep | None = None) -> None:
        self._studio, self._keep = studio, keep
        self.moving: set[str] = set()

    async def run(self) -> None:
        """Until nobody is left, and then for whoever comes all the same."""
        while True:
            if (group := self._next()) is None:
                await asyncio.sleep(LOOK_S)
                continue
            await self._pause(group)
            self.moving |= {each.options.room for each in group if each.options.room}
            await asyncio.sleep(2 * LOOK_S)  # it is told of before anybody comes back
            for each in group:
                if self._keep is not None and each.options.role == "studio":
                    await self._keep(each)
            await asyncio.gather(*(self._studio.end(each.id, WHY) for each in group))
            await asyncio.sleep(BETWEEN_S)

    def _next(self) -> list[Session] | None:
        """Those who share a room with whoever came first."""
        there = sorted((each for each in self._studio.sessions.values() if not each.closed), key=_since)
        if not there:
            return None
        rooms = set(rooms_of(there[0].options))
        return [each for each in there if each is there[0] or rooms & set(rooms_of(each.options))]

    async def _pause(self, group: list[Session]) -> None:
        ends_s, silent_s = time.monotonic() + LONGEST_S, time.monotonic()
        while (now_s := time.monotonic()) < ends_s:
            if any(each.speaks for each in group):
                silent_s = now_s
            elif now_s - silent_s >= PAUSE_S:  # looked at first: a loop that stood still has not heard who spoke
                return
            await asyncio.sleep(LOOK_S)


def _since(session: Session) -> float:
    return session.since_s
