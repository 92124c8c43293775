"""When frames leave a session, and which of them where the one who sends them is late."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from realtime_dub.clock import VirtualClock
from realtime_dub.media import MS
from realtime_dub.web.config import FRAME_MS
from realtime_dub.web.rtc.output_timeline import OutputTimeline
from realtime_dub.web.rtc.packets import Packet
from realtime_dub.web.rtc.shared_encoding import audio_of

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


@pytest.mark.parametrize("asleep_ms", [0, 20, 400, 900])
def test_a_voice_that_is_late_leaves_whole_and_in_one_turn(asleep_ms: int) -> None:
    """A turn is the way to another thread and back, which takes longer than 20 ms where the machine is busy."""

    async def test() -> None:
        clock = VirtualClock()
        timeline = OutputTimeline(clock, asyncio.get_running_loop())
        timeline.begin_at(0)
        stream = audio_of(timeline, 0.0)
        encode, turns, taken = stream._encode, [], list[Packet]()

        async def counted(frames: list) -> list:
            turns.append(len(frames))
            return await encode(frames)

        async def waits() -> None:
            for _ in range(30_000):  # the encoder has a thread
                if clock._sleepers:
                    break
                await asyncio.sleep(0.002)

        stream._encode = counted
        stream.join(taken.append)
        await waits()
        clock.advance_to(timeline.lag_ns + asleep_ms * MS)
        await clock.run_until(clock.now_ns())
        await waits()
        stream.leave(taken.append)
        late = asleep_ms // FRAME_MS + 1
        assert turns == [late]
        assert [each.leaves_ns for each in taken] == [timeline.leaves_ns(k * FRAME_MS * MS) for k in range(late)]

    asyncio.run(test())
