"""When frames leave a session, and which of them where the one who sends them is late."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from realtime_dub.clock import VirtualClock
from realtime_dub.media import MS
from realtime_dub.web.rtc.output_timeline import OutputTimeline

PERIOD_NS = 40 * MS
PLANES = np.zeros((24, 16), np.uint8)


@pytest.mark.parametrize(("asleep_ms", "leave"), [(10, [0, 40]), (45, [0, 40]), (75, [0, 40]), (95, [40, 80])])
def test_a_frame_that_is_late_once_leaves_and_one_that_is_late_by_more_does_not(
    asleep_ms: int, leave: list[int]
) -> None:
    """Whoever sends comes back after so long; the frames of 0, 40 and 80 ms wait then as far as they are due."""

    async def test() -> None:
        clock = VirtualClock()
        timeline = OutputTimeline(clock, asyncio.get_running_loop())
        timeline.begin(timeline.next_run(), PERIOD_NS)
        reader = timeline.subscribe()
        clock.advance_to(timeline.lag_ns + asleep_ms * MS)
        for pts_ms in range(0, asleep_ms + 1, 40):
            reader.put(PLANES, pts_ms * MS)
        reader.put(PLANES, -(-(asleep_ms + 1) // 40) * 40 * MS)
        first = await reader.recv()
        second = asyncio.create_task(reader.recv())
        await clock.run_until(clock.now_ns() + PERIOD_NS)
        assert [frame.pts // 90 for frame in (first, await second)] == leave

    asyncio.run(test())
