"""One encoder per codec for all who watch a timeline, and tracks that go over to another one without a break."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from aiortc.codecs import h264, vpx
from aiortc.jitterbuffer import JitterFrame
from av import VideoFrame
from hypothesis import given
from hypothesis import strategies as st

from realtime_dub.clock import VirtualClock
from realtime_dub.media import MS, AudioBlock
from realtime_dub.web.rtc import headers
from realtime_dub.web.rtc.encoders import WHOLE
from realtime_dub.web.rtc.feed import STEP_NS, Feed, PacketOut, Stamps
from realtime_dub.web.rtc.forwarder.forwarder import Forwarder
from realtime_dub.web.rtc.forwarder.group import Group
from realtime_dub.web.rtc.output_timeline import LAG_NS, OutputTimeline
from realtime_dub.web.rtc.packets import MOST_SEGMENTS, Packet, runs
from realtime_dub.web.rtc.shared_encoding import AudioStream, VideoStream

pytestmark = pytest.mark.computes

PERIOD_NS = 40 * MS
RATES = 400_000, 800_000


class Shown:
    """Timelines with frames of one shade each, on a clock that is moved by hand."""

    def __init__(self, *shades: int) -> None:
        self.clock = VirtualClock()
        self.timelines = [OutputTimeline(self.clock, asyncio.get_running_loop()) for _ in shades]
        self._planes = [np.full((96, 64), shade, np.uint8) for shade in shades]
        self.at = 0  # which is shown
        self.level = 0.0
        self.feeds: list[Feed] = []
        for timeline in self.timelines:
            timeline.begin_at(0)
        self._k = 0
        self._slow: VideoStream | None = None  # nobody waits for its encoder
        self._until: Callable[[], bool] = lambda: True  # ..., as long as this is not so

    def feed(self, forwarder: Forwarder | None = None) -> Feed:
        made = Feed(self._chosen, *RATES, forwarder)
        made._codec = "video/vp8"  # as it would be negotiated
        self.feeds.append(made)
        return made

    def _chosen(self) -> tuple[OutputTimeline, OutputTimeline, float]:
        return self.timelines[self.at], self.timelines[self.at], self.level

    async def go(self, frames: int) -> None:
        for _ in range(frames):
            for timeline, planes in zip(self.timelines, self._planes, strict=True):
                timeline._add_frame(planes, self._k * PERIOD_NS)
                timeline.ring.write(AudioBlock(np.zeros((1920, 1), np.float32), 48_000, self._k * PERIOD_NS))
            self._k += 1
            await self.clock.run_until(self._k * PERIOD_NS)
            for _ in range(30_000):  # the encoders have threads
                if self._encoded():
                    break
                await asyncio.sleep(0.002)

    def _encoded(self) -> bool:
        """Every encoder waits for its next frame, or for the time at which that is due."""
        streams = [each for timeline in self.timelines for each in timeline.encoded.values()]
        slow = self._slow if not self._until() else None
        tracks = [each._track for each in streams if isinstance(each, VideoStream) and each is not slow]
        heard = sum(isinstance(each, AudioStream) for each in streams)
        return all(track._came._waiters for track in tracks) and len(self.clock._sleepers) >= heard

    def slow(self, until: Callable[[], bool]) -> None:
        """The encoder of what is shown now has its next frame no sooner."""
        (slow,) = (each for each in self.timelines[self.at].encoded.values() if isinstance(each, VideoStream))
        encoder: Any = slow._encoder
        encode, self._slow, self._until = encoder.encode, slow, until

        def late(frame: VideoFrame, asked: bool) -> Any:
            while not until():
                time.sleep(0.001)
            encoder.encode, self._slow = encode, None
            return encode(frame, asked)

        encoder.encode = late

    def refresh(self) -> None:
        for feed in self.feeds:
            feed.refresh()

    def end(self) -> None:
        for feed in self.feeds:
            feed.close()


class Behind:
    """A connection from which the system takes nothing for a while."""

    def __init__(self) -> None:
        self.is_behind, self.sent = False, list[Packet]()
        self.asked: list[tuple[Group, int]] = []  # what it was to be served with, behind which frame

    def forward(self, packet: Packet) -> None:
        self.sent.append(packet)

    def enter(self, group: Group, ended: Callable[[], None]) -> bool:
        """It cannot be served with others."""
        self.asked.append((group, self.sent[-1].leaves_ns))
        return False

    def exit(self) -> None:
        """It is in no group."""


def begun(track: PacketOut) -> list[Packet]:
    """As where it is connected; what it was given since."""
    given: list[Packet] = []
    track.put = given.append  # type: ignore[method-assign]
    track.is_wanted = True
    track._begun()
    return given


def run(test: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(test())


def is_whole(packet: Packet) -> bool:
    return headers.read("vp8", data_of(packet)).whole


def data_of(packet: Packet) -> bytes:
    """What the encoder of VP8 made."""
    return b"".join(body for _, body in packet.payloads)


def shade_of(packets: list[Packet]) -> int:
    decoder = vpx.Vp8Decoder()
    for packet in packets:
        frame = decoder.decode(type("JitterFrame", (), {"data": data_of(packet), "timestamp": 0})())[-1]
    return int(frame.to_ndarray()[:60, :60].mean())


def test_fifty_who_watch_have_one_encoder_of_video_and_one_of_audio() -> None:
    async def test() -> None:
        shown = Shown(40)
        seen = [begun(shown.feed().video) for _ in range(50)]
        heard = [begun(feed.audio) for feed in shown.feeds]
        await shown.go(6)
        kinds = [type(each) for each in shown.timelines[0].encoded.values()]
        assert sorted(kinds, key=str) == [AudioStream, VideoStream]
        assert shown.timelines[0].watched == 1
        assert len(seen[0]) >= 4
        assert len(heard[0]) >= 8
        assert all([id(each) for each in other] == [id(each) for each in seen[0]] for other in seen)
        assert is_whole(seen[0][0])
        assert not is_whole(seen[0][1])
        shown.end()
        assert (shown.timelines[0].encoded, shown.timelines[0].watched) == ({}, 0)

    run(test)


def test_who_comes_later_begins_with_a_whole_frame() -> None:
    async def test() -> None:
        shown = Shown(40)
        first = begun(shown.feed().video)
        await shown.go(4)
        await asyncio.sleep(0.5)  # nobody is given more of them at once
        later = begun(shown.feed().video)
        await shown.go(4)
        assert is_whole(later[0])
        assert later[0] is first[-len(later)]
        shown.end()

    run(test)


def test_another_timeline_takes_over_with_its_first_whole_frame_and_time_goes_on() -> None:
    async def test() -> None:
        shown = Shown(40, 200)
        seen, heard = begun(shown.feed().video), begun(shown.feeds[0].audio)
        await shown.go(5)
        assert shade_of(seen) == pytest.approx(40, abs=4)
        before, said = len(seen), len(heard)
        shown.at = 1
        shown.refresh()
        await shown.go(5)
        assert is_whole(seen[before]) or is_whole(seen[before + 1])
        assert shade_of(seen) == pytest.approx(200, abs=4)
        assert all(early.leaves_ns < late.leaves_ns for early, late in itertools.pairwise(seen))
        assert max(b.leaves_ns - a.leaves_ns for a, b in itertools.pairwise(seen)) <= 2 * PERIOD_NS
        assert len(heard) >= said + 8
        assert shown.timelines[0].encoded == {}  # nobody watches it any more
        shown.end()

    run(test)


@pytest.mark.parametrize("late", [1, 2, 3])
def test_a_whole_frame_that_another_timeline_was_quicker_than_is_shown_all_the_same(late: int) -> None:
    """What follows needs it. Frames of one instant of both timelines, and the new one's encoder takes longer."""

    async def test() -> None:
        shown = Shown(40, 200)
        seen = begun(shown.feed().video)
        await shown.go(5)
        before = len(seen)
        shown.at = 1
        shown.refresh()
        shown.slow(lambda: len(seen) >= before + late)
        await shown.go(8 * late)
        assert [is_whole(each) for each in seen[before : before + late + 1]] == [False] * late + [True]
        assert shade_of(seen) == pytest.approx(200, abs=4)
        assert all(a.leaves_ns < b.leaves_ns and a.ticks < b.ticks for a, b in itertools.pairwise(seen))
        assert seen[-1].leaves_ns == shown.timelines[1].leaves_ns((4 + 8 * late) * PERIOD_NS)
        shown.end()

    run(test)


def test_nobody_is_served_with_others_whose_frames_leave_sooner() -> None:
    async def test() -> None:
        shown, line, forwarder = Shown(40, 200), Behind(), Forwarder()
        forwarder.pid = 1  # there is one
        feed = shown.feed(forwarder)
        feed.video.begin(line)  # type: ignore[arg-type]
        await shown.go(3)
        before, shown.at = len(line.sent), 1
        feed.refresh()
        shown.slow(lambda: len(line.sent) >= before + 2)
        await shown.go(16)
        own = feed._now.group(forwarder)
        times = [leaves_ns for group, leaves_ns in line.asked if group is own]
        assert times
        assert {each % PERIOD_NS for each in times} == {LAG_NS}
        shown.end()

    run(test)


@given(
    st.lists(st.tuples(st.integers(0, 900), st.integers(1, 40)), min_size=2, max_size=6),
    st.integers(0, 15),
)
def test_stamps_go_on_at_the_pace_of_the_frames_however_late_each_timeline_is(
    stays: list[tuple[int, int]], jitter_ms: int
) -> None:
    """``stays``: how late the frames of a timeline come, ms, and how many of them are shown before the next one's."""
    clock, k = VirtualClock(), 100
    stamps, made = Stamps(clock), list[int]()
    for late_ms, frames in [*stays, (stays[0][0], 200)]:
        stamps.begin()
        for _ in range(frames):
            k += 1
            arrives_ns = k * PERIOD_NS + k % 2 * jitter_ms * MS
            clock.advance_to(arrives_ns)
            made.append(stamps.of(k * PERIOD_NS - late_ms * MS))
    steps = np.diff(made) / PERIOD_NS
    assert steps.min() > 0.4  # of a change that comes in the middle of a jitter
    assert steps.max() < 1.6
    assert made[-1] == k * PERIOD_NS - late_ms * MS
    assert stamps.are_own


def test_a_timeline_that_has_stood_still_is_no_late_one() -> None:
    clock = VirtualClock()
    stamps = Stamps(clock)
    clock.advance_to(60_000 * MS)
    first = stamps.of(60_000 * MS)
    stamps.begin()
    clock.advance_to(60_040 * MS)
    assert stamps.of(50_000 * MS) == first + STEP_NS  # later than anybody waits
    stamps.begin()
    clock.advance_to(60_080 * MS)
    assert stamps.of(70_000 * MS) == 70_000 * MS


def test_levels_of_the_original_share_an_encoder_each() -> None:
    async def test() -> None:
        shown = Shown(40)
        for level in (0.0, 0.2, 0.21, 0.4):
            shown.level = level
            begun(shown.feed().audio)
        assert sorted(each for each in shown.timelines[0].encoded if isinstance(each, float)) == [0.0, 0.2, 0.4]
        shown.level = 0.1
        shown.refresh()
        assert list(shown.timelines[0].encoded) == [0.1]
        shown.end()
        assert shown.timelines[0].encoded == {}

    run(test)


def test_no_single_line_slows_the_others_down() -> None:
    async def test() -> None:
        shown = Shown(40)
        feeds = [shown.feed() for _ in range(3)]
        for feed in feeds:
            begun(feed.video)
        await shown.go(2)
        (stream,) = shown.timelines[0].encoded.values()
        for feed, bitrate in zip(feeds, (1, 700_000, 790_000), strict=True):
            feed._estimate(bitrate)
        assert stream._encoder.target_bitrate == 700_000
        feeds[0].close()
        assert len(stream._estimates) == 2
        shown.end()

    run(test)


def test_a_line_that_took_nothing_for_a_while_goes_on_with_a_whole_frame() -> None:
    async def test() -> None:
        shown, line = Shown(40), Behind()
        feed = shown.feed()
        feed.video.begin(line)  # type: ignore[arg-type]
        await shown.go(2)
        assert len(line.sent) >= 1
        line.is_behind, begun = True, len(line.sent)
        await shown.go(2)
        assert len(line.sent) == begun
        line.is_behind = False
        await asyncio.sleep(0.5)  # nobody is given more of them at once
        await shown.go(4)
        assert len(line.sent) > begun
        assert is_whole(line.sent[begun])
        shown.end()

    run(test)


def test_whoever_takes_long_leaves_the_loop_to_others_in_between() -> None:
    """A hundred who take 0.2 ms each: what else the loop has to do is not put off for 20 ms."""

    async def test() -> None:
        shown, turns, busy = Shown(40), 0, list[int]()

        def take(packet: Packet) -> None:
            busy.append(turns)
            ends_s = time.perf_counter() + 0.0002
            while time.perf_counter() < ends_s:
                pass

        async def others() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        stream = VideoStream(shown.timelines[0], "video/vp8", *RATES)
        stream._takers = {(lambda packet, n=n: take(packet)): None for n in range(100)}
        task = asyncio.create_task(others())
        await stream._give(Packet.of("video/vp8", b"x", 0))
        task.cancel()
        assert len(busy) == 100
        assert len(set(busy)) >= 10
        stream._end()
        shown.end()

    run(test)


def test_who_has_left_while_others_were_served_is_given_nothing() -> None:
    async def test() -> None:
        shown, taken = Shown(40), list[Packet]()
        stream = VideoStream(shown.timelines[0], "video/vp8", *RATES)

        def last(packet: Packet) -> None:
            taken.append(packet)

        def first(packet: Packet) -> None:
            stream._takers.pop(last)

        stream._takers = {first: None, last: None}
        await stream._give(Packet.of("video/vp8", b"x", 0))
        assert not taken
        stream._end()
        shown.end()

    run(test)


@given(st.lists(st.integers(1, 1_300), min_size=1, max_size=200))
def test_what_leaves_together_has_one_size_but_for_the_last(sizes: list[int]) -> None:
    found = list(runs(sizes))
    assert [begin for begin, _ in found] == [0, *(end for _, end in found[:-1])]
    assert found[-1][1] == len(sizes)
    for begin, end in found:
        assert 0 < end - begin <= MOST_SEGMENTS
        assert set(sizes[begin : end - 1]) <= {sizes[begin]}
        assert sizes[end - 1] <= sizes[begin]
        assert sum(sizes[begin:end]) < 65_000


@pytest.mark.parametrize("codec", ["vp8", "h264"])
def test_a_frame_is_cut_for_all_and_put_together_again(codec: str) -> None:
    """As one encoder makes it and every connection numbers it, a decoder on the other side reads it."""
    encoder, number = WHOLE[f"video/{codec}"](*RATES), 0x8000 | 77
    depayload, decoder = (
        (vpx.vp8_depayload, vpx.Vp8Decoder()) if codec == "vp8" else (h264.h264_depayload, h264.H264Decoder())
    )
    random = np.random.default_rng(0)
    shades = []
    for count in range(4):
        planes = np.full((360, 320), 60 + 30 * count, np.uint8)
        planes[:240] = np.clip(planes[:240] + random.normal(0, 20, (240, 320)), 16, 235)
        frame: Any = VideoFrame.from_ndarray(planes, format="yuv420p")
        frame.pts, frame.time_base = count * 3_600, Fraction(1, 90_000)
        (data,), _ = encoder.encode(frame, count == 2)
        assert headers.read(codec, data).whole == (count in (0, 2))
        packet = Packet.of(f"video/{codec}", data, count * PERIOD_NS)
        assert packet.ticks == count * 3_600
        middle = number.to_bytes(2, "big") if packet.is_numbered else b""
        payloads = [head + middle + body for head, body in packet.payloads]
        assert max(map(len, payloads)) <= 1_300
        assert packet.size == sum(map(len, payloads))
        assert len(payloads) > 1 or count not in (0, 2)
        if codec == "vp8":
            assert {vpx.VpxPayloadDescriptor.parse(each)[0].picture_id for each in payloads} == {77}
            assert [vpx.VpxPayloadDescriptor.parse(each)[0].partition_start for each in payloads[:2]] == [1, 0][
                : len(payloads)
            ]
        joined = b"".join(map(depayload, payloads))
        shades += [int(each.to_ndarray()[:240].mean()) for each in decoder.decode(JitterFrame(joined, count * 3_600))]
    assert shades == pytest.approx([60, 90, 120, 150], abs=4)
    encoder.close()
