"""A visitor without a browser: sends a face at 25 fps and a voice, counts what comes back."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from fractions import Fraction
from typing import Any

import numpy as np
from aiohttp import ClientSession
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av import AudioFrame, VideoFrame

from realtime_dub.sources.demo import DemoSource
from realtime_dub.web.rtc import aiortc_access

FPS, RATE, SAMPLES = 25, 48_000, 960
CONNECT_S = 60.0


class Face(MediaStreamTrack):
    """The built-in face, again and again."""

    kind = "video"

    def __init__(self, frames: list[VideoFrame]) -> None:
        super().__init__()
        self._frames, self._count, self._began_s = frames, 0, time.monotonic()

    async def recv(self) -> VideoFrame:
        await asyncio.sleep(max(0.0, self._began_s + self._count / FPS - time.monotonic()))
        if self.readyState != "live":
            raise MediaStreamError
        frame = self._frames[self._count % len(self._frames)]
        frame.pts, frame.time_base = self._count * 90_000 // FPS, Fraction(1, 90_000)
        self._count += 1
        return frame


class Voice(MediaStreamTrack):
    """Vowel-like sound without a pause, so that every picture needs a mouth."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._count, self._began_s = 0, time.monotonic()

    async def recv(self) -> AudioFrame:
        await asyncio.sleep(max(0.0, self._began_s + self._count * SAMPLES / RATE - time.monotonic()))
        if self.readyState != "live":
            raise MediaStreamError
        at = np.arange(self._count * SAMPLES, (self._count + 1) * SAMPLES) / RATE
        loud = 0.2 + 0.3 * np.sin(2 * np.pi * 4 * at) ** 2  # syllables
        wave = np.sign(np.sin(2 * np.pi * 130 * at)) * np.sin(2 * np.pi * 700 * at) * loud
        frame = AudioFrame.from_ndarray((wave * 32_767).astype(np.int16)[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE, self._count * SAMPLES, Fraction(1, RATE)
        self._count += 1
        return frame


class Neighbour:
    """Made, connected and closed on a loop."""

    def __init__(self, url: str, token: str, frames: list[VideoFrame]) -> None:
        self._url, self._headers = url, {"Authorization": f"Bearer {token}", "X-Requested-With": "realtime-dub"}
        self._pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._channel = self._pc.createDataChannel("control")
        self._channel.on("message", self._message)
        self._pc.on("track", lambda track: self._tasks.append(asyncio.create_task(self._count(track))))
        self._tasks: list[asyncio.Task[None]] = []
        self._stats: dict[str, Any] = {}
        self._news = asyncio.Event()
        self.pictures = 0
        for track in (Face(frames), Voice()):
            self._pc.addTrack(track)

    async def connect(self, **options: object) -> None:
        """Until mouths come."""
        await self._pc.setLocalDescription(await self._pc.createOffer())
        body = {"sdp": self._pc.localDescription.sdp, "type": "offer", "options": options}
        async with (
            ClientSession(headers=self._headers) as http,
            http.post(f"{self._url}/api/sessions", json=body) as got,
        ):
            told = await got.json()
        await self._pc.setRemoteDescription(RTCSessionDescription(told["sdp"], "answer"))
        async with asyncio.timeout(CONNECT_S):
            while self.frames.get("fresh", 0) < 2 * FPS:
                self._news.clear()
                await self._news.wait()

    @property
    def frames(self) -> dict[str, int]:
        """The server's count of ticks by kind."""
        return dict(self._stats.get("frames", {}))

    async def watch(self, seconds: float) -> tuple[float, float]:
        """Pictures a second that came, and the share of ticks with a fresh mouth, in per cent."""
        began_s, pictures, before = time.monotonic(), self.pictures, self.frames
        await asyncio.sleep(seconds)
        took_s, after = time.monotonic() - began_s, self.frames
        ticks = after["total"] - before["total"]
        share = 100 * (after["fresh"] - before["fresh"]) / ticks if ticks else 0.0
        return (self.pictures - pictures) / took_s, share

    async def close(self) -> None:
        await aiortc_access.close(self._pc)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _message(self, text: str) -> None:
        told = json.loads(text)
        if told.get("t") == "stats":
            self._stats = told
            self._news.set()

    async def _count(self, track: Any) -> None:
        with contextlib.suppress(MediaStreamError):
            while True:
                await track.recv()
                self.pictures += track.kind == "video"


def face(seconds: float = 2.0) -> list[VideoFrame]:
    """The built-in face at 640x480."""
    source = DemoSource(640, 480, FPS)
    source.open()
    images = [np.array(source.read().image) for _ in range(round(FPS * seconds))]
    source.close()
    return [VideoFrame.from_ndarray(image, format="bgr24").reformat(format="yuv420p") for image in images]
