"""When pictures of slow and changing cameras were captured."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import time
from fractions import Fraction

import numpy as np
import pytest
from aiortc import RTCPeerConnection
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av import VideoFrame

from realtime_dub.clock import MonotonicClock
from realtime_dub.media import MS, NS
from realtime_dub.web.rtc import aiortc_access
from realtime_dub.web.rtc.browser_input import BrowserInput
from realtime_dub.web.rtc.capture_clock import CENTRE_NS, CaptureClock

NETWORK_NS = 30 * MS
SHADES = 16


def captures(rates: list[tuple[float, float]]) -> list[int]:
    """Of a camera that keeps a rate (frames a second) for some seconds, then the next."""
    times = [0.0]
    for fps, seconds in rates:
        until = times[-1] + seconds
        while times[-1] < until - 1e-9:
            times.append(times[-1] + 1 / fps)
    return [round(time * NS) for time in times]


def errors_ms(captured: list[int], jitter_ms: float = 0.0) -> np.ndarray:
    """How much too young each picture is taken to be. One comes when the next one begins to."""
    dice, clock = random.Random(5), CaptureClock(0)
    off = []
    for this, following in itertools.pairwise(captured):
        arrival_ns = 3 * NS + following + NETWORK_NS + round(dice.uniform(0, jitter_ms) * MS)
        off.append(clock.frame_ns(this, arrival_ns) - CENTRE_NS - (3 * NS + this + NETWORK_NS))
    return np.array(off) / MS


@pytest.mark.parametrize("fps", [5, 8, 10, 12, 15, 24, 30, 60])
def test_a_picture_is_as_old_as_it_is_at_every_rate(fps: float) -> None:
    off = errors_ms(captures([(fps, 12.0)]))
    assert np.abs(off[1:]).max() < 1


@pytest.mark.parametrize("fps", [5, 10, 25])
def test_jitter_is_borne_at_every_rate(fps: float) -> None:
    off = errors_ms(captures([(fps, 30.0)]), jitter_ms=15.0)
    assert np.abs(off[10 * fps :]).max() <= 15


def test_a_camera_may_change_its_rate() -> None:
    """A browser halves it in the dark, and under load; a hidden page sends next to nothing for a while."""
    off = errors_ms(captures([(30, 4), (10, 4), (5, 4), (25, 4), (0.4, 5), (15, 4), (8, 4), (12, 4)]))
    assert np.abs(off[1:]).max() < 1


def test_lost_pictures_do_not_move_the_others() -> None:
    captured = captures([(25, 20)])
    dice = random.Random(2)
    off = errors_ms([captured[0], *(each for each in captured[1:] if dice.random() > 0.3)])
    assert np.abs(off[1:]).max() < 1


class ChangingCamera(MediaStreamTrack):
    """Pictures of a brightness that counts, at one rate after another, and when each was taken."""

    kind = "video"

    def __init__(self) -> None:
        super().__init__()
        self.taken_ns: list[int] = []
        self._start_ns = time.monotonic_ns()
        self._captures = captures([(5, 3.0), (10, 2.0), (25, 1.2)])

    async def recv(self) -> VideoFrame:
        number = len(self.taken_ns)
        if number == len(self._captures):
            raise MediaStreamError
        await asyncio.sleep((self._start_ns + self._captures[number] - time.monotonic_ns()) / NS)
        self.taken_ns.append(time.monotonic_ns())
        frame = VideoFrame.from_ndarray(np.full((96, 128), 20 + number % SHADES * 12, np.uint8), format="gray")
        frame.pts, frame.time_base = self._captures[number] * 9 // 100_000, Fraction(1, 90_000)
        return frame


@pytest.mark.slow
def test_a_real_connections_pictures_are_as_old_as_they_are() -> None:
    """Through aiortc's sender, encoder, receiver and decoder."""

    async def test() -> list[float]:
        camera, browser_input, off = ChangingCamera(), BrowserInput(MonotonicClock()), []
        sender, receiver = RTCPeerConnection(), RTCPeerConnection()
        over = asyncio.Event()

        async def read(track: MediaStreamTrack) -> None:
            slot = browser_input.add_frame_reader()
            with contextlib.suppress(MediaStreamError):
                while True:
                    browser_input.add_frame(await track.recv())
                    frame, captured_ns = slot.take(0)
                    shade = round((float(np.median(frame.to_ndarray(format="gray"))) - 20) / 12)
                    number = max(n for n in range(len(camera.taken_ns)) if n % SHADES == shade)
                    off.append((captured_ns - CENTRE_NS - camera.taken_ns[number]) / MS)
                    if number >= len(camera._captures) - 3:
                        break
            over.set()

        reading = []
        receiver.on("track", lambda track: reading.append(asyncio.create_task(read(track))))
        sender.addTrack(camera)
        await sender.setLocalDescription(await sender.createOffer())
        await receiver.setRemoteDescription(sender.localDescription)
        await receiver.setLocalDescription(await receiver.createAnswer())
        await sender.setRemoteDescription(receiver.localDescription)
        await asyncio.wait_for(over.wait(), 60)
        for each in (sender, receiver):
            await aiortc_access.close(each)
        await asyncio.gather(*reading)
        return off

    off = np.array(asyncio.run(test()))
    print(np.round(off))
    for part in (off[5:15], off[20:35], off[-20:]):
        assert abs(np.median(part)) < 60  # a busy machine needs its time for the way
