"""Who has a connection: places, given fairly among addresses."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import Protocol

from realtime_dub.web import limits
from realtime_dub.web.http.callers import CallerRates


class Handler(Protocol):
    """What reads one connection's requests."""

    @property
    def busy(self) -> bool: ...

    def enforce(self, now_s: float) -> None: ...

    def cut(self) -> None: ...


class Place:
    """One connection's, from the moment it is accepted."""

    def __init__(self, caller: str, since_s: float) -> None:
        self.caller, self.since_s = caller, since_s  # since when it has been silent, or busy
        self.door: Handler | None = None  # once the handshake is over
        self.handshake: asyncio.Task[None] | None = None

    @property
    def busy(self) -> bool:
        """A request of it is being answered."""
        return self.door is not None and self.door.busy

    def enforce(self, now_s: float) -> None:
        """Cut what takes too long."""
        if self.door is not None:
            self.door.enforce(now_s)

    def cut(self) -> None:
        """End the connection at once."""
        if self.door is not None:
            self.door.cut()
        elif self.handshake is not None:
            self.handshake.cancel()


class Places:
    """``most`` of them."""

    def __init__(self, most: int) -> None:
        self._most, self._count = most, 0
        self._callers: defaultdict[str, dict[Place, None]] = defaultdict(dict)
        self._arrivals = CallerRates(limits.CONNECTIONS_PER_S, limits.CONNECTIONS_BURST)

    def take(self, caller: str, now_s: float) -> Place | None:
        """None where there is none for this caller."""
        if not self._arrivals.take(caller, now_s):
            return None
        if self._count >= self._most and not self.give_one_up(caller):
            return None
        place = Place(caller, now_s)
        self._callers[caller][place] = None
        self._count += 1
        return place

    def give_one_up(self, newcomer: str | None = None) -> bool:
        """End the longest silent connection of whoever has most; a busy one only for somebody who has less."""
        most = max(map(len, self._callers.values()), default=0)
        greedy = [_longest_silent(places) for places in self._callers.values() if len(places) == most]
        if not greedy:
            return False
        victim = min(greedy, key=lambda place: (place.busy, place.since_s))
        if victim.busy and (newcomer is None or len(self._callers.get(newcomer, ())) + 1 >= most):
            return False
        victim.cut()
        self.leave(victim)
        return True

    def wasted(self, place: Place, now_s: float) -> None:
        """What it brought cost so much that its caller has to wait for the next connections."""
        self._arrivals.spend(place.caller, limits.WASTED_CONNECTIONS, now_s)

    def touch(self, place: Place, now_s: float) -> None:
        """A request begins or ends there."""
        place.since_s = now_s
        places = self._callers.get(place.caller, {})
        if place in places:
            del places[place]
            places[place] = None  # the last in order

    def leave(self, place: Place) -> None:
        """Idempotent."""
        places = self._callers.get(place.caller, {})
        if place in places:
            del places[place]
            self._count -= 1
        if not places:
            self._callers.pop(place.caller, None)

    def all(self) -> list[Place]:
        return [place for places in self._callers.values() for place in places]

    async def end_handshakes(self) -> None:
        """Those that are not over."""
        pending = [place.handshake for place in self.all() if place.handshake is not None]
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)


def _longest_silent(places: dict[Place, None]) -> Place:
    """They stand in order; where all are busy, the first."""
    return next((place for place in places if not place.busy), next(iter(places)))
