"""Pictures that claim too much, cost too much or come too often take neither memory nor time from anybody."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections import Counter
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest
from aiortc.codecs import CODECS
from aiortc.jitterbuffer import JitterFrame
from aiortc.mediastreams import AudioStreamTrack
from hostile_peers import CodedTrack, claiming, coded, connected, until
from test_web_headers import claim

from realtime_dub.pipeline.measures import rss_mb
from realtime_dub.web.limits import QUEUED_AUDIO, QUEUED_FRAMES
from realtime_dub.web.rates import TokenBucket
from realtime_dub.web.rtc.decoding import AudioDecoding, Decoding, VideoDecoding, WithinDecoder

VP8, H264 = (next(each for each in CODECS["video"] if each.name == name) for name in ("VP8", "H264"))
OPUS = next(each for each in CODECS["audio"] if each.name == "opus")


class Decoded:
    """One track's decoding, on a thread as aiortc has it."""

    def __init__(
        self,
        kind: type[Decoding] = VideoDecoding,
        make: Any = WithinDecoder,
        most_pixels: int = 1_280 * 720,
        yields: bool = False,
    ) -> None:
        self.dropped: Counter[str] = Counter()
        self.frames: list[Any] = []
        self.asked = 0
        parts = make, self.frames.append, self._ask, self.dropped
        terms = SimpleNamespace(most_pixels=lambda: most_pixels, yields=lambda: yields)
        more = {"terms": terms} if kind is VideoDecoding else {}
        self.decoding = kind(*parts, **more)
        self._thread = threading.Thread(target=self.decoding.get, name="decoder")
        self._pts = 0

    def _ask(self) -> None:
        self.asked += 1

    async def __aenter__(self) -> Decoded:
        self._thread.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.decoding.put(None)
        await asyncio.to_thread(self._thread.join, 5)
        assert not self._thread.is_alive()

    def put(self, *pictures: bytes, codec: Any = VP8) -> None:
        for data in pictures:
            self.decoding.put((codec, JitterFrame(data, self._pts)))
            self._pts += 3_600

    @property
    def sizes(self) -> list[tuple[int, int]]:
        return [(each.width, each.height) for each in self.frames]


def test_a_picture_that_claims_too_much_is_not_decoded_and_the_next_one_is() -> None:
    async def test() -> None:
        for codec, evil in ((VP8, claiming(16_383, 16_383)), (H264, claim(1_024, 1_024) + b"\0\0\1\x65" + bytes(500))):
            pictures = coded(320, 192, codec="libvpx" if codec is VP8 else "libx264", frames=2, tune="zerolatency")
            async with Decoded() as decoded:
                before = rss_mb()
                decoded.put(pictures[0], *[evil] * 5, pictures[1], pictures[0], codec=codec)
                await until(lambda decoded=decoded: len(decoded.frames) == 2)
                assert decoded.dropped == {"too large": 5, "incomplete": 1}
                assert decoded.asked == 1
                assert rss_mb() - before < 60

    asyncio.run(test())


def test_large_pictures_are_made_smaller_as_they_are_decoded() -> None:
    async def test() -> None:
        async with Decoded() as decoded:
            for size in ((1_920, 1_080), (720, 1_280), (2_160, 3_840)):
                decoded.put(*coded(*size))
            await until(lambda: len(decoded.frames) == 3)
            assert decoded.sizes == [(1_280, 720), (720, 1_280), (720, 1_280)]
            assert [each.pts for each in decoded.frames] == [0, 3_600, 7_200]
            smaller = decoded.frames[0].to_ndarray(format="bgr24").astype(int)
        full = next(iter(av.CodecContext.create("libvpx", "r").decode(av.Packet(coded(1_920, 1_080)[0]))))
        expected = full.reformat(width=1_280, height=720, format="bgr24", interpolation="AREA").to_ndarray()
        assert np.abs(smaller - expected).mean() < 2

    asyncio.run(test())


def test_another_size_in_every_picture_is_taken_a_few_times() -> None:
    async def test() -> None:
        async with Decoded() as decoded:
            decoded.put(*(coded(160 + 16 * k, 96)[0] for k in range(20)))
            await until(lambda: sum(decoded.dropped.values()) + len(decoded.frames) == 20)
            assert 8 <= len(set(decoded.sizes)) <= 12
            assert decoded.dropped["too many sizes"] >= 8

    asyncio.run(test())


class Slow(WithinDecoder):
    """A decoder that takes its time, of the processor or of the clock."""

    def decode(self, frame: Any) -> list[Any]:
        until_s = time.thread_time() + 0.05
        while time.thread_time() < until_s:
            pass
        return super().decode(frame)


def test_decoding_has_so_much_time_in_a_second() -> None:
    """And after it is over, it goes on with a whole picture."""

    async def test() -> None:
        async with Decoded(make=Slow) as decoded:
            decoded.decoding._time = TokenBucket(0, 0.18)
            whole, *others = coded(160, 96, frames=20)
            decoded.put(whole, *others)
            await until(lambda: decoded.dropped["too costly"] + len(decoded.frames) == 20)
            assert len(decoded.frames) == 4
            assert decoded.asked >= 1
            decoded.decoding._time = TokenBucket(0, 10)
            decoded.put(others[0], whole, others[0])
            await until(lambda: len(decoded.frames) == 6)
            assert decoded.dropped == {"too costly": 16, "incomplete": 1}

    asyncio.run(test())


@pytest.mark.parametrize(("used", "decoded_frames"), [(160 * 96, 4), (160 * 96 // 36, 1)])
def test_frames_many_times_larger_than_what_is_used_are_charged_more(used: int, decoded_frames: int) -> None:
    """Of 36 times the pixels: four times as much."""

    async def test() -> None:
        async with Decoded(make=Slow, most_pixels=used) as decoded:
            decoded.decoding._time = TokenBucket(0, 0.18)
            decoded.put(*coded(160, 96, frames=20))
            await until(lambda: decoded.dropped["too costly"] + len(decoded.frames) == 20)
            assert len(decoded.frames) == decoded_frames

    asyncio.run(test())


def test_who_yields_to_others_is_charged_more() -> None:
    async def test() -> None:
        async with Decoded(make=Slow, yields=True) as decoded:
            decoded.decoding._time = TokenBucket(0, 0.18)
            decoded.put(*coded(160, 96, frames=20))
            await until(lambda: decoded.dropped["too costly"] + len(decoded.frames) == 20)
            assert len(decoded.frames) == 1

    asyncio.run(test())


def test_what_waits_for_a_decoder_that_stands_still_is_bounded() -> None:
    async def test() -> None:
        held = threading.Event()

        class Standing(Slow):
            def decode(self, frame: Any) -> list[Any]:
                held.wait(20)
                return WithinDecoder.decode(self, frame)

        for kind, most in ((VideoDecoding, QUEUED_FRAMES), (AudioDecoding, QUEUED_AUDIO)):
            held.clear()
            async with Decoded(kind, Standing) as decoded:
                whole = coded(160, 96)[0] if kind is VideoDecoding else b"\xfc\xff\xfe"
                codec = VP8 if kind is VideoDecoding else OPUS
                decoded.put(*[whole] * 500, codec=codec)
                assert len(decoded.decoding._tasks) <= most
                assert decoded.dropped["overrun"] > 400
                held.set()
                await until(lambda decoded=decoded: decoded.frames)

    asyncio.run(test())


@pytest.mark.parametrize("codec", [VP8, H264], ids=["vp8", "h264"])
def test_damaged_pictures_end_nothing(codec: Any) -> None:
    async def test() -> None:
        dice = random.Random(5)
        kind = {"codec": "libx264", "tune": "zerolatency"} if codec is H264 else {}
        pictures = coded(160, 96, frames=10, **kind)
        async with Decoded() as decoded:
            for k in range(300):
                data = bytearray(pictures[k % len(pictures)])
                for _ in range(dice.randrange(1, 6)):
                    data[dice.randrange(min(len(data), 40 if k % 2 else len(data)))] = dice.randrange(256)
                decoded.put(bytes(data[: dice.randrange(1, len(data) + 1)]), codec=codec)
                if k % 20 == 19:
                    await until(lambda: not decoded.decoding._tasks)
            decoded.decoding._sizes = decoded.decoding._frames = TokenBucket(1e6, 1e6)
            count = len(decoded.frames)
            decoded.put(*pictures, codec=codec)
            await until(lambda: len(decoded.frames) > count)
            assert decoded.sizes[-1] == (160, 96)
            assert all(width * height <= 1_280 * 720 for width, height in decoded.sizes)

    asyncio.run(test())


@pytest.mark.parametrize("held", [0, 1])
def test_at_the_end_nothing_that_waits_is_decoded(held: int) -> None:
    async def test() -> None:
        async with Decoded(make=Slow) as decoded:
            decoded.put(*coded(160, 96, frames=25))
            await asyncio.sleep(0.1 * held)
            began_s = time.process_time()
        assert time.process_time() - began_s < 1
        assert len(decoded.frames) < 20

    asyncio.run(test())


def test_a_visitor_who_claims_too_much_leaves_no_thread_and_no_memory() -> None:
    """Over a real connection; a good picture among bad ones comes through, and closing waits for no decoder."""

    async def test() -> None:
        before_mb, threads = rss_mb(), threading.active_count()
        track = CodedTrack([coded(320, 180)[0], *[claiming(16_383, 16_383)] * 4], fps=100)
        async with connected(track, AudioStreamTrack()) as (_, peer, taken):
            await until(lambda: len(taken.sizes) > 5 and peer.dropped["too large"] > 20 and taken.sounds > 5)
            assert set(taken.sizes) == {(320, 180)}
            assert rss_mb() - before_mb < 100
        assert threading.active_count() <= threads + 4  # the loop's own pool
        assert not [each.name for each in threading.enumerate() if each.name.endswith("-decoder")]

    asyncio.run(test())
