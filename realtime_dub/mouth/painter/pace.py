"""A network that takes longer than a frame lasts: fewer mouths are painted, and those between are faded from them.

While the live loop says that time is short, a mouth is painted as often as a share of the time allows, and each for an
instant a little ahead, so that there is always one on either side: what is shown in between is on time, and moves.
Where time is no object, every frame has a mouth of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from realtime_dub.media import MS, NS, Image

SHARE = 0.85  # of the time, that painting may take
FRAME_NS = 40 * MS  # until frames are known: 25 per second
MOST_LEAD_NS = 120 * MS
MOST_FRAMES = 1 + MOST_LEAD_NS // FRAME_NS  # from one painted mouth to the next, with one ahead of what is shown
FORGETS_NS = 400 * MS  # behind such a hole nothing is faded
FOLLOWS = 0.2  # of a new measurement of what painting takes


@dataclass(frozen=True, slots=True, eq=False)
class Painted:
    """A crop as the network painted it, for an instant of the voice."""

    image: Image
    at_ns: int
    shot: int


class Pace:
    """When a mouth is painted, and for which instant. ``took_ns``: what one takes, as was measured before."""

    def __init__(self, took_ns: int) -> None:
        self.short = False
        self._took_ns = float(took_ns)
        self._frame_ns = FRAME_NS
        self._asked_ns: int | None = None
        self._begun_ns: int | None = None
        self.lead_ns = min(self._every_ns() - FRAME_NS, MOST_LEAD_NS)  # of the voice, that is heard for it

    @property
    def frames(self) -> int:
        """From one painted mouth to the next, where time is short; 1 = there is one in every frame."""
        return self._every_ns() // self._frame_ns

    @property
    def per_second(self) -> float:
        """Mouths that can be painted live."""
        return NS / self._every_ns()

    def wants(self, at_ns: int) -> bool:
        """Paint for the tick at ``at_ns``; called once for each."""
        if self._asked_ns is not None and 0 < at_ns - self._asked_ns < FORGETS_NS:
            self._frame_ns = at_ns - self._asked_ns
        self._asked_ns = at_ns
        since_ns = None if self._begun_ns is None else at_ns - self._begun_ns
        if self.short and since_ns is not None and 0 <= since_ns < self._every_ns() - self._frame_ns // 2:
            return False
        self._begun_ns = at_ns
        return True

    def instant(self, at_ns: int) -> int:
        """The one to paint for at ``at_ns``."""
        ahead_ns = self._every_ns() - self._frame_ns if self.short else 0
        return at_ns + min(ahead_ns, self.lead_ns)

    def took(self, took_ns: int) -> None:
        self._took_ns += FOLLOWS * (took_ns - self._took_ns)

    def _every_ns(self) -> int:
        """Whole frames, from one painted mouth to the next."""
        frames = -(-int(self._took_ns / SHARE) // self._frame_ns)
        return max(1, frames) * self._frame_ns


class Between:
    """The last two painted mouths."""

    def __init__(self) -> None:
        self._before: Painted | None = None
        self._last: Painted | None = None

    def add(self, painted: Painted) -> None:
        near = self._last is not None and self._last.shot == painted.shot
        near = near and 0 < painted.at_ns - self._last.at_ns < FORGETS_NS  # type: ignore[union-attr]
        self._before, self._last = self._last if near else None, painted

    def at(self, at_ns: int, shot: int) -> Image | None:
        """The mouth at an instant; None where none was painted near it."""
        last, before = self._last, self._before
        if last is None or last.shot != shot or abs(at_ns - last.at_ns) > FORGETS_NS:
            return None
        if before is None or at_ns >= last.at_ns:
            return last.image
        part = max(0.0, (at_ns - before.at_ns) / (last.at_ns - before.at_ns))
        return np.asarray(cv2.addWeighted(before.image, 1 - part, last.image, part, 0), np.uint8)
