"""One encoder per codec for all who watch a timeline, and tracks that go over to another one without a break."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from fractions import Fraction

import numpy as np
import pytest
from aiortc.codecs import h264, vpx
from aiortc.jitterbuffer import JitterFrame
from av import VideoFrame
from av.packet import Packet as CodedPacket

from realtime_dub.clock import VirtualClock
from realtime_dub.media import MS, AudioBlock
from realtime_dub.web.rtc import headers
from realtime_dub.web.rtc.encoders import PACKS, WHOLE
from realtime_dub.web.rtc.feed import WAITING, Feed, PacketOut
from realtime_dub.web.rtc.output_timeline import OutputTimeline
from realtime_dub.web.rtc.shared_encoding import AudioStream, Packet, VideoStream

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

    def feed(self) -> Feed:
        made = Feed(self._chosen, *RATES)
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
        tracks = [each._track for each in streams if isinstance(each, VideoStream)]
        heard = sum(isinstance(each, AudioStream) for each in streams)
        return all(track._came._waiters for track in tracks) and len(self.clock._sleepers) >= heard

    def refresh(self) -> None:
        for feed in self.feeds:
            feed.refresh()

    def end(self) -> None:
        for feed in self.feeds:
            feed.close()


def begun(track: PacketOut) -> list[Packet]:
    """As aiortc begins with it; what it was given since."""
    given: list[Packet] = []
    track.put = given.append  # type: ignore[method-assign]
    track.is_wanted = True
    track._begun()
    return given


def run(test: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(test())


def is_whole(packet: Packet) -> bool:
    return headers.read("vp8", packet.data).whole


def shade_of(packets: list[Packet]) -> int:
    decoder = vpx.Vp8Decoder()
    for packet in packets:
        frame = decoder.decode(type("JitterFrame", (), {"data": packet.data, "timestamp": 0})())[-1]
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


def test_a_track_that_nobody_takes_from_is_begun_anew_with_a_whole_frame() -> None:
    async def test() -> None:
        shown = Shown(40)
        feed = shown.feed()
        feed.video.is_wanted = True
        feed.video._begun()
        await shown.go(1)
        part = Packet(b"\x01" * 10, 0, whole=False)
        for number in range(WAITING + 5):
            feed._seen(Packet(part.data, (number + 9) * PERIOD_NS, whole=False))
        assert len(feed.video._packets) == 0
        feed._seen(Packet(b"\x00" * 10, 99 * PERIOD_NS, whole=True))
        assert len(feed.video._packets) == 1
        assert (await feed.video.recv()).time_base == Fraction(1, 90_000)
        shown.end()

    run(test)


@pytest.mark.parametrize("codec", ["vp8", "h264"])
def test_a_packet_is_cut_for_each_connection_and_put_together_again(codec: str) -> None:
    """As one encoder makes it and a connection's own packs it, a decoder on the other side reads it."""
    told: list[int] = []
    encoder, packs = WHOLE[f"video/{codec}"](*RATES), PACKS[f"video/{codec}"](told.append)
    depayload, decoder = (
        (vpx.vp8_depayload, vpx.Vp8Decoder()) if codec == "vp8" else (h264.h264_depayload, h264.H264Decoder())
    )
    random = np.random.default_rng(0)
    shades = []
    for number in range(4):
        planes = np.full((360, 320), 60 + 30 * number, np.uint8)
        planes[:240] = np.clip(planes[:240] + random.normal(0, 20, (240, 320)), 16, 235)
        frame = VideoFrame.from_ndarray(planes, format="yuv420p")
        frame.pts, frame.time_base = number * 3_600, Fraction(1, 90_000)
        (data,), _ = encoder.encode(frame, number == 2)
        assert headers.read(codec, data).whole == (number in (0, 2))
        packet = CodedPacket(data)
        packet.pts, packet.time_base = number * 3_600, Fraction(1, 90_000)
        payloads, timestamp = packs.pack(packet)
        assert timestamp == number * 3_600
        assert max(map(len, payloads)) <= 1_300
        assert len(payloads) > 1 or number not in (0, 2)
        joined = b"".join(map(depayload, payloads))
        shades += [int(each.to_ndarray()[:240].mean()) for each in decoder.decode(JitterFrame(joined, timestamp))]
    assert shades == pytest.approx([60, 90, 120, 150], abs=4)
    packs.target_bitrate = 123_456
    assert told == [123_456]
    encoder.close()
