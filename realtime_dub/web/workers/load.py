"""How much a worker has to do, and which of several is to have the next visitor. Nothing here waits or asks.

A worker is full where its seats are taken; it is overloaded where it makes more than a tenth of its frames late. Among
the others the one with least to do is chosen: seats taken, processor time, and late frames, which weigh most.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

OVERLOADED = 0.10  # of the frames of the last seconds that were late
LATE_WEIGHT = 5.0  # one frame in twenty weighs as a quarter of all seats


class Load(BaseModel):
    """Of one worker, as it measured it itself."""

    model_config = ConfigDict(frozen=True)

    seats: int  # people who may be dubbed at a time
    dubbed: int = 0  # who are
    queued: int = 0  # handshakes under way, and people who were sent there and are not told of yet
    late: float = 0.0  # share of the frames of the last seconds, 0 to 1
    busy: float = 0.0  # share of the processor time that it may use, 0 to 1
    card: float = 0.0  # share of the time in which its share of a card was at work, 0 to 1
    draining: bool = False

    @property
    def full(self) -> bool:
        return self.dubbed + self.queued >= self.seats

    @property
    def overloaded(self) -> bool:
        """With whom it has; one that has nobody is only not warm yet."""
        return self.late > OVERLOADED and self.dubbed > 0

    @property
    def takes(self) -> bool:
        """One more person who is dubbed."""
        return not (self.draining or self.full or self.overloaded)

    @property
    def cost(self) -> float:
        """What one more would meet there; less is better."""
        taken = (self.dubbed + self.queued + 1) / max(1, self.seats)
        return taken + max(self.busy, self.card) / 2 + LATE_WEIGHT * self.late


def place(loads: Sequence[Load | None]) -> int | None:
    """Which worker is to have one more who is dubbed; None: all that there are have enough. ``loads`` has None for a
    worker that cannot have anybody at present. The first of equals.
    """
    can = [number for number, load in enumerate(loads) if load is not None and load.takes]
    return min(can, key=lambda number: (_of(loads, number).cost, number), default=None)


def place_light(loads: Sequence[Load | None]) -> int | None:
    """Likewise for one who only speaks or watches: a full worker will do, one that drains does not."""
    can = [number for number, load in enumerate(loads) if load is not None and not load.draining]
    return min(can, key=lambda number: (_of(loads, number).cost, number), default=None)


def why_none(loads: Sequence[Load | None]) -> str:
    """In a word, for ``/readyz``: starting, draining, full or overloaded; empty where somebody takes people."""
    there = [load for load in loads if load is not None]
    if not there:
        return "starting"
    if any(load.takes for load in there):
        return ""
    open_ = [load for load in there if not load.draining]
    if not open_:
        return "draining"
    return "full" if any(load.full for load in open_) else "overloaded"


def _of(loads: Sequence[Load | None], number: int) -> Load:
    load = loads[number]
    assert load is not None, "only those that are there are compared"
    return load
