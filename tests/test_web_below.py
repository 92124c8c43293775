"""The original under the dub: at the level of the room or the viewer's own, never against the speaker's will."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
from test_web_room import OPTIONS, come, go
from web_peers import Visitor, serving

from realtime_dub.audio.underlay import BLOCK
from realtime_dub.clock import VirtualClock
from realtime_dub.media import MS, AudioBlock
from realtime_dub.web.rtc.original_below import FAR, KEPT_BLOCKS, OriginalBelow
from realtime_dub.web.rtc.output_timeline import AudioOut, OutputTimeline

FRAME_NS = 20 * MS


def steady(level: float = 0.5) -> np.ndarray:
    return np.full((BLOCK, 1), level, np.float32)


@pytest.mark.computes
def test_it_is_made_once_for_all_and_in_order_whoever_asks() -> None:
    below = OriginalBelow()
    for number in range(10):
        below.hear(steady(0.1 + number / 100), number * FRAME_NS)
    made = [below.block(number) for number in (3, 4, 7)]
    assert below.block(3) is made[0]
    assert below.block(5)[0, 0] == pytest.approx(0.15)  # between two that were asked for
    assert [each[0, 0] for each in made] == pytest.approx([0.13, 0.14, 0.17])
    assert not below.block(7 + FAR + 5).any()  # nothing is known of that yet
    assert not below.block(7 - KEPT_BLOCKS).any()


@pytest.mark.computes
def test_a_track_mixes_at_its_level_and_goes_over_to_another_one_without_a_step() -> None:
    async def test() -> None:
        clock = VirtualClock()
        timeline = OutputTimeline(clock, asyncio.get_running_loop())
        timeline.begin_at(0)
        for number in range(60):
            timeline.ring.write(AudioBlock(steady(0.25), 48_000, number * FRAME_NS))
            timeline.below.hear(steady(), number * FRAME_NS)
        level = 0.0
        silent, mixed = AudioOut(timeline), AudioOut(timeline, lambda: level)
        heard = []
        for number in range(40):
            level = 0.4 if 10 <= number < 30 else 0.0
            clock.advance_to(number * FRAME_NS + timeline.lag_ns)
            heard.append((await mixed.recv()).to_ndarray()[0] / 32_767)
            assert (await silent.recv()).to_ndarray()[0] / 32_767 == pytest.approx(0.25, abs=1e-3)
        samples = np.concatenate(heard)
        assert samples[: 10 * BLOCK] == pytest.approx(0.25, abs=1e-3)
        assert samples[11 * BLOCK : 30 * BLOCK] == pytest.approx(0.25 + 0.4 * 0.5, abs=1e-3)
        assert samples[31 * BLOCK :] == pytest.approx(0.25, abs=1e-3)
        assert np.abs(np.diff(samples)).max() < 0.2 * 2 / BLOCK

    asyncio.run(test())


def loudest(visitor: Visitor, since: int) -> int:
    return max((int(np.abs(each[2]).max()) for each in visitor.got.sounds[since:]), default=0)


async def hears(visitor: Visitor, something: bool) -> None:
    """From now on, or from soon on, a whole second of it."""
    for _ in range(15):
        since = len(visitor.got.sounds)
        await visitor.until(lambda: len(visitor.got.sounds) > since + 60)  # noqa: B023 - it is awaited here
        if (loudest(visitor, since) > 1500) == something:
            return
    pytest.fail(visitor.summary())


@pytest.mark.slow
def test_viewers_hear_the_original_where_the_speaker_lets_them_and_as_loud_as_they_like() -> None:
    async def test() -> None:
        async with serving(max_sessions=1) as (studio, http, url):
            viewer = await come(http, url, "viewer")
            interpreter = await come(http, url, "interpreter")
            sender = Visitor(http, url)
            await sender.connect(**OPTIONS["studio"])
            hall = studio.rooms.find("hall")
            assert hall is not None
            hall.presence.mute(2, True)  # the interpreter: all that is heard is the original
            await viewer.until(lambda: len(viewer.got.sounds) > 50)
            await hears(viewer, False)
            assert (await viewer.patch(under=0.4))[0] == 200
            await hears(viewer, False)
            assert (await sender.patch(under=0.2))[0] == 200
            await hears(viewer, True)
            assert (await viewer.patch(under=0))[0] == 200
            await hears(viewer, False)
            await hears(sender, False)
            for each in (viewer, interpreter, sender):
                await go(each)

    asyncio.run(test())
