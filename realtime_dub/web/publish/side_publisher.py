"""What publishers over WebRTC share: an output timeline on a thread and loop of its own. Nobody waits for a network."""

from __future__ import annotations

import logging
from typing import Literal

from realtime_dub.media import OutputFormat, Tick
from realtime_dub.web.publish.loop_thread import LoopThread
from realtime_dub.web.rtc.output_timeline import OutputTimeline, TimelinePublisher

STOP_S = 5.0
log = logging.getLogger("realtime_dub.publishers")


class SidePublisher:
    """``publish`` hands over and returns. A subclass opens its loop, then the output timeline with :meth:`_feed`."""

    policy: Literal["latest", "every"] = "every"
    latency_ns = 0

    def __init__(self) -> None:
        self._loop: LoopThread | None = None
        self._inner: TimelinePublisher | None = None

    def publish(self, tick: Tick) -> None:
        assert self._inner is not None, "publish comes after open"
        self._inner.publish(tick)

    def close(self) -> None:
        """Tell the other side that it is over. Idempotent."""
        loop, self._loop = self._loop, None
        if loop is None:
            return
        try:
            loop.run(self._stop(), STOP_S)
        except TimeoutError:  # the other side does not answer: nobody waits longer for it
            log.warning("an output did not end in time and was left")
        finally:
            loop.close()

    def _feed(self, timeline: OutputTimeline, fmt: OutputFormat) -> None:
        self._inner = TimelinePublisher(timeline, 1)
        self._inner.open(fmt)

    async def _stop(self) -> None:
        """End what was begun, on the loop."""
        raise NotImplementedError
