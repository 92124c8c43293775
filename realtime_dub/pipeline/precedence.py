"""Who gives way where one machine is too slow for all whom it serves: who came last.

Runs share cores and the interpreter. Where they are too slow together, each one's ladder (``schedule``) goes down a
little, and nobody has all his mouths. So whoever came first keeps his, and the last one yields until there is time
again. Nobody yields where that mends nothing: a run that is too slow by itself keeps nobody out.

Told the time, without a clock; called from the runs' threads.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import Protocol

from realtime_dub.media import NS

MISSED, OF = 5, 50  # mouths in the last so many: somebody has to give way
SETTLE_NS = NS  # until it shows whether that was enough
YIELD_NS, MOST_YIELD_NS = 30 * NS, 480 * NS  # twice as long each time, from the first again after a calm as long
BACK_NS = 3 * NS  # a run that comes back climbs: what it misses meanwhile is nobody's fault
JUDGED, OF_NO_USE = 200, 0.4  # mouths after which it is judged whether it helps; missed all the same
ALONE_NS = 60 * NS  # nobody yields again for one whom it did not help


class Place(Protocol):
    """One visitor's: his runs, which follow each other, share it."""

    def leave(self) -> None:
        """Idempotent."""

    def yields(self, now_ns: int) -> bool:
        """No mouth is to be made for it at present."""

    def wanted(self, in_time: bool, now_ns: int) -> None:
        """A mouth was wanted that was made in time, or was not."""


class Precedence(Protocol):
    """Who gives places."""

    def take_place(self) -> Place:
        """After all that are taken."""


class Order:
    """The places of a machine's runs, in the order in which they were taken."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.places: list[PlaceInOrder] = []

    def take_place(self) -> PlaceInOrder:
        place = PlaceInOrder(self)
        with self.lock:
            self.places.append(place)
        return place


class PlaceInOrder:
    """See :class:`Place`."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._recent: deque[bool] = deque(maxlen=OF)
        self._judged: deque[bool] = deque(maxlen=JUDGED)
        self._heard_from_ns = 0  # what is missed before does not count
        self._yields_until_ns = self._yield_ns = 0
        self._active_ns: int | None = None

    def leave(self) -> None:
        with self._order.lock:
            if self in self._order.places:
                self._order.places.remove(self)

    def yields(self, now_ns: int) -> bool:
        return now_ns < self._yields_until_ns

    def wanted(self, in_time: bool, now_ns: int) -> None:
        with self._order.lock:
            self._active_ns = now_ns
            if now_ns < self._heard_from_ns:
                return
            self._recent.append(in_time)
            self._judged.append(in_time)
            if not in_time and self._recent.count(False) >= MISSED:
                self._ask(now_ns)

    def _ask(self, now_ns: int) -> None:
        """Somebody to give way, the last one first."""
        after = self._order.places[self._order.places.index(self) + 1 :] if self in self._order.places else []
        awake = [each for each in after if not each.yields(now_ns) and each._is_active(now_ns)]
        if awake:
            awake[-1]._yield(now_ns)
            self._hear_from(now_ns + SETTLE_NS)
        elif self._is_of_no_use() and any(each.yields(now_ns) for each in after):
            for each in after:
                each._yield_until(min(now_ns, each._yields_until_ns))
            self._hear_from(now_ns + ALONE_NS)

    def _is_of_no_use(self) -> bool:
        return len(self._judged) == JUDGED and self._judged.count(False) > OF_NO_USE * JUDGED

    def _is_active(self, now_ns: int) -> bool:
        return self._active_ns is not None and now_ns - self._active_ns < NS

    def _hear_from(self, at_ns: int) -> None:
        self._heard_from_ns = at_ns
        self._recent.clear()
        self._judged.clear()

    def _yield(self, now_ns: int) -> None:
        calm = now_ns - self._yields_until_ns > max(self._yield_ns, YIELD_NS)
        self._yield_ns = YIELD_NS if calm or not self._yield_ns else min(MOST_YIELD_NS, 2 * self._yield_ns)
        self._yield_until(now_ns + self._yield_ns)

    def _yield_until(self, at_ns: int) -> None:
        self._yields_until_ns = at_ns
        self._hear_from(at_ns + BACK_NS)
