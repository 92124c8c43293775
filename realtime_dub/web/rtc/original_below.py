"""The original that is mixed under a dub on its way to viewers: made once for all of them, at the dub's own time."""

from __future__ import annotations

from collections import OrderedDict

import numpy as np

from realtime_dub.audio.underlay import AHEAD, BLOCK, Underlay
from realtime_dub.flow import AudioRing
from realtime_dub.media import MS, NS, Samples
from realtime_dub.web.rtc.counted import Counted

RATE = 48_000
BLOCK_NS = 20 * MS
KEPT_NS = 3 * NS
KEPT_BLOCKS = 100  # that were made: one viewer's line asks later than another's
FAR = 50  # blocks that nobody asked for: begun anew after them


class OriginalBelow:
    """Of one output timeline, whose times it speaks. On the server's loop."""

    def __init__(self) -> None:
        self._original, self._voice = (AudioRing(RATE, 1, KEPT_NS) for _ in range(2))
        self._heard, self._spoken = Counted(self._original), Counted(self._voice)
        self._underlay = Underlay()
        self._made: OrderedDict[int, Samples] = OrderedDict()
        self._next: int | None = None

    def hear(self, samples: Samples, pts_ns: int) -> None:
        """What the person says, (n, 1), at the time at which they are seen saying it."""
        self._heard.write(samples, pts_ns)

    def speak(self, samples: Samples, pts_ns: int) -> None:
        """What the interpreter says, likewise: known ahead, as it comes before its mouth is made."""
        self._spoken.write(samples, pts_ns)

    def block(self, number: int) -> Samples:
        """(960, 1) at level 1, of the twenty milliseconds of that number; silence for what is long over."""
        if self._next is None or not -KEPT_BLOCKS < number - self._next < FAR:
            self._next = number
        while self._next <= number:
            self._made[self._next] = self._make(self._next * BLOCK_NS)
            self._next += 1
            if len(self._made) > KEPT_BLOCKS:
                self._made.popitem(last=False)
        return self._made.get(number, np.zeros((BLOCK, 1), np.float32))

    def _make(self, pts_ns: int) -> Samples:
        ahead = self._voice.read(pts_ns + AHEAD * BLOCK_NS, BLOCK)
        return self._underlay.process(self._original.read(pts_ns, BLOCK), ahead)
