"""An interpreter hears and sees whom they speak for, undubbed, as soon as it comes."""

from __future__ import annotations

import asyncio
import itertools
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from av import VideoFrame
from web_peers import ROOMY_MS, Visitor, serving

from realtime_dub.clock import VirtualClock
from realtime_dub.media import MS, NS
from realtime_dub.web.rtc.counted import APART_NS
from realtime_dub.web.rtc.original import BEHIND_NS, Original, fitted
from realtime_dub.web.rtc.output_timeline import FRAME_SAMPLES, RATE


def pulses(visitor: Visitor) -> list[float]:
    """When each loud stretch of what is heard arrived."""
    return _begun([(at, bool(np.abs(samples).max() > 1500)) for at, _, samples in visitor.got.sounds])


def flashes(visitor: Visitor) -> list[float]:
    return _begun([(at, bool(image[4:12, 4:12].mean() > 128)) for at, _, image in visitor.got.pictures])


def _begun(frames: list[tuple[float, bool]]) -> list[float]:
    return [at for (_, before), (at, now) in itertools.pairwise(frames) if now and not before]


def since_said(speaker: Visitor, at_s: list[float]) -> float:
    """The median time since the flash, and the loud stretch, that each of the speaker's seconds begins with."""
    return float(np.median([(at - speaker.pc.getSenders()[0].track._start) % 1.0 for at in at_s]))


def test_an_interpreter_hears_and_sees_the_person_before_the_dub_does() -> None:
    async def test() -> None:
        async with serving(max_sessions=2) as (studio, http, url):
            speaker, interpreter = Visitor(http, url, height=400, fps=10), Visitor(http, url, sends=False)
            try:
                await speaker.connect(engine="passthrough", voice="room:hall", room="hall", budget_ms=ROOMY_MS)
                await interpreter.connect(role="interpreter", room="hall")
                await interpreter.until(lambda: len(pulses(interpreter)) >= 4 and len(flashes(interpreter)) >= 4)
                last = interpreter.got.pictures[-1][2]
                assert (last.shape[0], last.shape[1] % 2) == (360, 0)
                assert last[120:240, 100:200].std() > 10  # a face, not grey
                heard_s, seen_s = since_said(speaker, pulses(interpreter)), since_said(speaker, flashes(interpreter))
                assert 0.05 < heard_s < 0.6
                assert abs(heard_s - seen_s) < 0.25  # in step, but for a frame of 0.1 and what a busy machine adds
                assert since_said(speaker, flashes(speaker)) > 0.6  # the dub comes its budget later
                room = studio.rooms.find("hall")
                assert room is not None
                assert room.original.is_watched
                assert await interpreter.delete() == 204
                await speaker.until(lambda: not room.original.is_watched)
            finally:
                await interpreter.close()
                await speaker.close()

    asyncio.run(test())


def test_whom_interpreters_speak_for_is_heard_by_them_and_nobody_else_is() -> None:
    async def test() -> None:
        async with serving(max_sessions=3) as (studio, http, url):
            sender, elsewhere = Visitor(http, url), Visitor(http, url)
            try:
                await sender.connect(engine="passthrough", voice="mic", room="hall")
                await sender.until(lambda: sender.pc.connectionState == "connected")
                one = studio.sessions[sender.id]
                room = studio.rooms.enter("hall")
                assert studio.rooms.originals_of(one) == []  # nobody listens
                reader = room.original.timeline.subscribe()
                assert studio.rooms.originals_of(one) == [room.original]
                await elsewhere.connect(engine="passthrough", voice="room:hall", room="attic")
                other = studio.sessions[elsewhere.id]
                assert studio.rooms.originals_of(other) == [room.original]  # the interpreters' voice is theirs
                assert studio.rooms.originals_of(one) == []
                reader.stop()
                assert studio.rooms.originals_of(other) == []
            finally:
                await sender.close()
                await elsewhere.close()

    asyncio.run(test())


def blocks(count: int) -> list[np.ndarray]:
    made = np.random.default_rng(0).uniform(-0.5, 0.5, (count, FRAME_SAMPLES, 1))
    return [each.astype(np.float32) for each in made]


@pytest.mark.parametrize("jitter_ms", [0, 8])
def test_audio_is_counted_not_stamped_until_the_stamps_are_far_off(jitter_ms: int) -> None:
    async def test() -> None:
        original, parts = Original(VirtualClock()), blocks(40)
        jitter = np.random.default_rng(1).uniform(-jitter_ms, jitter_ms, len(parts))
        stamps = [NS + round((20 * at + shift) * MS) for at, shift in enumerate(jitter)]
        for samples, at_ns in zip(parts[:20], stamps[:20], strict=True):
            original.hear(samples, at_ns)
        whole = np.concatenate(parts[:20])
        assert np.array_equal(original.timeline.ring.read(0, len(whole)), whole)  # without a click
        later = APART_NS + 50 * MS
        for samples, at_ns in zip(parts[20:], stamps[20:], strict=True):
            original.hear(samples, at_ns + later)
        end_ns = original.timeline.ring.end_ns
        assert end_ns is not None
        assert abs(end_ns - (800 * MS + later)) <= (jitter_ms + 1) * 2 * MS  # taken anew, once

    asyncio.run(test())


def test_frames_are_made_small_and_those_that_come_meanwhile_are_left_out_but_for_the_newest() -> None:
    async def test() -> None:
        original = Original(VirtualClock())
        reader = original.timeline.subscribe()
        got: list[tuple[Any, int]] = []
        reader.put = lambda planes, pts_ns: got.append((planes, pts_ns))  # type: ignore[method-assign]
        for at in range(5):
            frame = VideoFrame.from_ndarray(np.full((720, 1280, 3), 40 * at, np.uint8), format="bgr24")
            frame.pts, frame.time_base = at, Fraction(1, 25)
            original.see(frame, NS + at * 40 * MS)
        assert original._shrinking is not None
        await original._shrinking
        await asyncio.sleep(0)
        assert [planes.shape for planes, _ in got] == [(540, 640)] * len(got)
        assert got[-1][1] == 160 * MS
        assert len(got) == 1
        original.close()

    asyncio.run(test())


@pytest.mark.parametrize(
    ("size", "small"),
    [((1280, 720), (640, 360)), ((640, 480), (480, 360)), ((720, 1280), (202, 360)), ((320, 240), (320, 240)),
     ((641, 2), (640, 2)), ((16, 4000), (2, 360))],
)  # fmt: skip
def test_the_shape_is_kept_and_nothing_is_made_larger(size: tuple[int, int], small: tuple[int, int]) -> None:
    assert fitted(size) == small


def test_audio_and_frames_wait_alike() -> None:
    assert BEHIND_NS <= 150 * MS  # after the capture, before the network
    assert RATE == 48_000
