"""A visitor who sends what no browser would: coded pictures of any claim, packets in any number, offers with nobody."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator
from fractions import Fraction
from typing import Any

import av
import numpy as np
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from patience import PATIENCE_S

from realtime_dub.clock import MonotonicClock
from realtime_dub.web.config import ServeConfig
from realtime_dub.web.rtc import aiortc_access, aiortc_consent
from realtime_dub.web.rtc.browser_input import BrowserInput
from realtime_dub.web.rtc.decoding import Decoders
from realtime_dub.web.rtc.peer import Peer


def coded(width: int, height: int, codec: str = "libvpx", frames: int = 1, **options: str) -> list[bytes]:
    """Pictures of a gradient that moves; the first one is whole."""
    encoder = av.CodecContext.create(codec, "w")
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
    encoder.bit_rate, encoder.time_base, encoder.framerate = 1_000_000, Fraction(1, 25), Fraction(25)
    encoder.options = {"deadline": "realtime", "cpu-used": "-8", "lag-in-frames": "0"} if codec == "libvpx" else options
    made = []
    for k in range(frames):
        image = np.add.outer(np.arange(height), np.arange(width) + 4 * k).astype(np.uint8)
        frame = av.VideoFrame.from_ndarray(np.repeat(image[:, :, None], 3, 2), format="bgr24").reformat(
            format="yuv420p"
        )
        frame.pts, frame.time_base = k, Fraction(1, 25)
        made += [bytes(packet) for packet in encoder.encode(frame)]
    return made + [bytes(packet) for packet in encoder.encode(None)]


def claiming(width: int, height: int) -> bytes:
    """A whole picture of VP8, a kilobyte long, that says it is so large."""
    size = (width & 0x3FFF).to_bytes(2, "little") + (height & 0x3FFF).to_bytes(2, "little")
    return b"\x10\x02\x00\x9d\x01\x2a" + size + coded(64, 64)[0][10:] + bytes(1_000)


class CodedTrack(MediaStreamTrack):
    """Sends coded pictures as they are, ``fps`` a second, from the first again after the last."""

    kind = "video"

    def __init__(self, pictures: list[bytes], fps: float = 25) -> None:
        super().__init__()
        self.pictures, self._fps, self._count = pictures, fps, 0

    async def recv(self) -> Any:
        await asyncio.sleep(1 / self._fps)
        if self.readyState != "live":
            raise MediaStreamError
        packet = av.Packet(self.pictures[self._count % len(self.pictures)])
        packet.pts, packet.time_base = int(self._count * 90_000 / self._fps), Fraction(1, 90_000)
        self._count += 1
        return packet


class Taken(BrowserInput):
    """What came through, kept."""

    def __init__(self) -> None:
        super().__init__(MonotonicClock())
        self.sizes: list[tuple[int, int]] = []
        self.sounds = 0

    def add_frame(self, frame: Any) -> None:
        super().add_frame(frame)
        self.sizes.append((frame.width, frame.height))

    def add_audio(self, frame: Any) -> None:
        super().add_audio(frame)
        self.sounds += 1


ASK_S, LASTS_S = 0.2, 1.5


def ask_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether the other side is still there: all that in a twentieth of the time."""
    quick = functools.partial(aiortc_consent._ask_on, ask_s=ASK_S, lasts_s=LASTS_S)
    monkeypatch.setattr(aiortc_consent, "_ask_on", quick)


Both = tuple[RTCPeerConnection, Peer, Taken]


async def until(ready: Any) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not ready():  # noqa: ASYNC110  (of aiortc, which has no event for it)
            await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def connected(
    *tracks: MediaStreamTrack, channel: bool = False, apart: Decoders | None = None
) -> AsyncIterator[tuple[RTCPeerConnection, Peer, Taken]]:
    """A visitor's connection, the server's part of it, and what that took. ``apart``: where it is decoded."""
    taken, visitor = Taken(), RTCPeerConnection(RTCConfiguration(iceServers=[]))
    peer = Peer(ServeConfig(), taken, None, lambda: None, decoders=apart)
    if channel:
        visitor.createDataChannel("control")
    for track in tracks:
        visitor.addTrack(track)
    try:
        await visitor.setLocalDescription(await visitor.createOffer())
        answer = await peer.answer(visitor.localDescription.sdp)
        await visitor.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        await until(lambda: peer.state == visitor.connectionState == "connected")
        yield visitor, peer, taken
    finally:
        await aiortc_access.close(visitor)
        await peer.close()
