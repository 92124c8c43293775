"""What the person in front of a camera says and shows, undubbed: for whoever interprets it, as soon as it comes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import numpy as np

from realtime_dub.clock import Clock
from realtime_dub.fitting import Size
from realtime_dub.i420 import Planes
from realtime_dub.media import Samples
from realtime_dub.web.limits import ORIGINAL_KBPS, ORIGINAL_SIZE
from realtime_dub.web.rtc.aiortc_access import AUDIO_DELAY_NS
from realtime_dub.web.rtc.browser_input import NETWORK_NS
from realtime_dub.web.rtc.counted import Counted
from realtime_dub.web.rtc.output_timeline import OutputTimeline

BEHIND_NS = AUDIO_DELAY_NS + NETWORK_NS  # the capture: audio is there by then, and a frame is


class Undubbed:
    """Audio that leaves as soon as it may. On the server's loop."""

    def __init__(self, clock: Clock) -> None:
        self.timeline = OutputTimeline(clock, asyncio.get_running_loop())
        self.timeline.lag_ns = BEHIND_NS
        self.listeners: set[Callable[[Samples], None]] = set()  # programs that interpret, of the audio alone
        self._counted = Counted(self.timeline.ring)

    def hear(self, samples: Samples, captured_ns: int) -> None:
        """(n, 1) at 48 kHz."""
        self._counted.write(samples, captured_ns - self.timeline.begin_at(captured_ns))
        for listener in tuple(self.listeners):
            listener(samples)


class Original(Undubbed):
    """Of one room. On the server's loop; frames are made small on another thread, and only while somebody watches."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.timeline.most_kbps = ORIGINAL_KBPS
        self._waiting: tuple[Any, int] | None = None  # the newest frame
        self._shrinking: asyncio.Task[None] | None = None

    @property
    def is_watched(self) -> bool:
        return self.timeline.watched > 0 or bool(self.listeners)

    def see(self, frame: Any, captured_ns: int) -> None:
        """A decoded ``av.VideoFrame``. Those that come while one is made small are left out but for the newest."""
        if not self.timeline.watched:
            return
        self._waiting = frame, captured_ns - self.timeline.begin_at(captured_ns)
        if self._shrinking is None or self._shrinking.done():
            self._shrinking = asyncio.create_task(self._shrink(), name="original")

    def close(self) -> None:
        """Idempotent."""
        self._waiting = None
        if self._shrinking is not None:
            self._shrinking.cancel()

    async def _shrink(self) -> None:
        while self._waiting is not None:
            (frame, pts_ns), self._waiting = self._waiting, None
            planes = await asyncio.to_thread(_small, frame)
            self.timeline.add_frame(planes, pts_ns)


class Taps:
    """Where what a browser sends goes besides its own pipeline: to the rooms whose interpreters speak for it, and
    ``below`` the dub.
    """

    def __init__(self, originals: Callable[[], list[Original]], below: Callable[[Samples, int], None]) -> None:
        self._originals, self._below = originals, below

    def hear(self, samples: Samples, captured_ns: int) -> None:
        self._below(samples, captured_ns)
        for each in self._originals():
            each.hear(samples, captured_ns)

    def see(self, frame: Any, captured_ns: int) -> None:
        for each in self._originals():
            each.see(frame, captured_ns)


def fitted(size: Size) -> Size:
    """Even, of the same shape, within what an interpreter is shown; never larger than it came."""
    share = min(1.0, *(most / own for most, own in zip(ORIGINAL_SIZE, size, strict=True)))
    width, height = (max(2, round(own * share / 2) * 2) for own in size)
    return width, height


def _small(frame: Any) -> Planes:
    width, height = fitted((frame.width, frame.height))
    planes: Planes = np.ascontiguousarray(frame.reformat(width, height, "yuv420p").to_ndarray())
    return planes
