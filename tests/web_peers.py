"""A browser's part, played by aiortc: a face that speaks is sent, what comes back is kept."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np
from aiohttp import ClientSession, web
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av import AudioFrame, VideoFrame
from faces import portrait
from patience import PATIENCE_S

from realtime_dub.web.config import ServeConfig
from realtime_dub.web.http.api import STUDIO
from realtime_dub.web.http.doors import Doors
from realtime_dub.web.http.server import make_app
from realtime_dub.web.rtc import aiortc_access
from realtime_dub.web.studio.session import Session
from realtime_dub.web.studio.studio import Studio

CLOCKS = {"video": 90_000, "audio": 48_000}
HEADERS = {"X-Requested-With": "realtime-dub"}
FPS = 25
ROOMY_MS = 800  # a budget within which a machine of half the speed, too, has its mouths in time


class FaceTrack(MediaStreamTrack):
    """The portrait; every second the first 200 ms are bright at the edge (a flash)."""

    kind = "video"

    def __init__(self, height: int = 240, fps: int = FPS) -> None:
        super().__init__()
        self._fps = fps
        image = portrait(height)
        self._dark = np.ascontiguousarray(image[: height & ~1, : image.shape[1] & ~1])
        self._bright = self._dark.copy()
        self._bright[:24, :24] = 255
        self._dark = self._dark.copy()
        self._dark[:24, :24] = 0
        self._start = time.monotonic()
        self._count = 0

    async def recv(self) -> VideoFrame:
        await asyncio.sleep(max(0.0, self._start + self._count / self._fps - time.monotonic()))
        if self.readyState != "live":
            raise MediaStreamError
        image = self._bright if self._count % self._fps < self._fps // 5 else self._dark
        frame = VideoFrame.from_ndarray(image, format="bgr24")
        frame.pts, frame.time_base = self._count * 90_000 // self._fps, Fraction(1, 90_000)
        self._count += 1
        return frame


def agreed(options: dict[str, object]) -> dict[str, object]:
    """As a page whose person has agreed that others speak for them."""
    return (
        {"consent": True, **options}
        if options.get("languages") or str(options.get("voice")).startswith("room:")
        else options
    )


class VoiceTrack(MediaStreamTrack):
    """Vowel-like sound; loud in the first 200 ms of every second, silent in the rest."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._start = time.monotonic()
        self._count = 0

    async def recv(self) -> AudioFrame:
        await asyncio.sleep(max(0.0, self._start + self._count * 0.02 - time.monotonic()))
        if self.readyState != "live":
            raise MediaStreamError
        at = np.arange(self._count * 960, (self._count + 1) * 960) / 48_000
        frame = AudioFrame.from_ndarray((self._wave(at) * 32_767).astype(np.int16)[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 48_000, self._count * 960, Fraction(1, 48_000)
        self._count += 1
        return frame

    def _wave(self, at: np.ndarray) -> np.ndarray:
        return np.sign(np.sin(2 * np.pi * 130 * at)) * np.sin(2 * np.pi * 700 * at) * 0.5 * (at % 1 < 0.2)


class ToneTrack(VoiceTrack):
    """A steady tone that never pauses."""

    def __init__(self, hertz: float) -> None:
        super().__init__()
        self._hertz = hertz

    def _wave(self, at: np.ndarray) -> np.ndarray:
        return 0.3 * np.sin(2 * np.pi * self._hertz * at)


@dataclass
class Got:
    """What came back: arrival on the monotonic clock, pts in seconds, and the frame's picture or samples."""

    pictures: list[tuple[float, float, np.ndarray]] = field(default_factory=list)
    sounds: list[tuple[float, float, np.ndarray]] = field(default_factory=list)
    stats: list[dict[str, Any]] = field(default_factory=list)
    pongs: list[dict[str, Any]] = field(default_factory=list)
    captions: list[tuple[float, dict[str, Any]]] = field(default_factory=list)
    left: dict[str, int] = field(default_factory=dict)  # of a kind: the server's clock at pts 0, ns, as it reports

    @property
    def sound_later_s(self) -> float:
        """Pts 0 of the sound after that of the picture, as the reports say: a browser brings them together by it."""
        return (self.left["audio"] - self.left["video"]) / 1e9 if len(self.left) == 2 else 0.0


class Visitor:
    """One page."""

    def __init__(
        self,
        http: ClientSession,
        url: str,
        sends: bool = True,
        height: int = 240,
        fps: int = FPS,
        voice: VoiceTrack | None = None,
        kinds: tuple[str, ...] = ("video", "audio"),
        configuration: RTCConfiguration | None = None,
    ) -> None:
        self.http, self.url, self.got = http, url, Got()
        self.pc = RTCPeerConnection(configuration or RTCConfiguration(iceServers=[]))
        self.channel = self.pc.createDataChannel("control")
        self.channel.on("message", self._message)
        self.pc.on("track", lambda track: self._tasks.append(asyncio.create_task(self._keep(track))))
        self._tasks: list[asyncio.Task] = []
        self.ended: list[dict[str, Any]] = []  # what it was told at its end
        self.rooms: list[dict[str, Any]] = []  # what it was told of its room beside the statistics
        for track in (each for each in (FaceTrack(height, fps), voice or VoiceTrack()) if each.kind in kinds):
            self.pc.addTrack(track) if sends else self.pc.addTransceiver(track.kind, "recvonly")
        self.id = ""

    async def connect(self, **options: object) -> dict[str, Any]:
        status, told = await self.offer("/api/sessions", {"options": options})
        assert status == 201, told
        self.id = told["id"]
        await self.pc.setRemoteDescription(RTCSessionDescription(told["sdp"], "answer"))
        for receiver in self.pc.getReceivers():
            kind = receiver.track.kind
            aiortc_access.on_sender_report(receiver, CLOCKS[kind], functools.partial(self._report, kind))
        return told

    def _report(self, kind: str, ntp_ns: int, pts_ns: int) -> None:
        self.got.left[kind] = ntp_ns - pts_ns

    async def offer(self, path: str, more: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        await self.pc.setLocalDescription(await self.pc.createOffer())
        if "options" in more:
            more = {**more, "options": agreed(more["options"])}
        body = {"sdp": self.pc.localDescription.sdp, "type": "offer", **more}
        async with self.http.post(self.url + path, json=body, headers=HEADERS) as response:
            return response.status, await response.json()

    async def patch(self, **changes: object) -> tuple[int, dict[str, Any]]:
        url = f"{self.url}/api/sessions/{self.id}"
        async with self.http.patch(url, json=agreed(changes), headers=HEADERS) as response:
            return response.status, await response.json()

    async def delete(self) -> int:
        async with self.http.delete(f"{self.url}/api/sessions/{self.id}", headers=HEADERS) as response:
            return response.status

    async def until(self, ready) -> None:
        end = time.monotonic() + PATIENCE_S
        while not ready():
            assert time.monotonic() < end, self.summary()
            await asyncio.sleep(0.05)

    def summary(self) -> str:
        last = self.got.stats[-1] if self.got.stats else None
        return f"{self.pc.connectionState}, {len(self.got.pictures)} pictures, {len(self.got.sounds)} sounds, {last}"

    async def close(self) -> None:
        await aiortc_access.close(self.pc)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _message(self, text: str) -> None:
        told = json.loads(text)
        if told["t"] == "end":
            self.ended.append(told)
        if told["t"] == "caption":
            self.got.captions.append((time.monotonic(), told))
        if told["t"] == "room":
            self.rooms.append(told["room"])
        (self.got.pongs if told["t"] == "pong" else self.got.stats if told["t"] == "stats" else []).append(told)

    async def _keep(self, track: MediaStreamTrack) -> None:
        with contextlib.suppress(MediaStreamError):
            while True:
                frame = await track.recv()
                now, pts = time.monotonic(), float(frame.pts * frame.time_base)
                if track.kind == "video":
                    self.got.pictures.append((now, pts, frame.to_ndarray(format="bgr24")))
                else:
                    self.got.sounds.append((now, pts, frame.to_ndarray().reshape(-1, 2)[:, 0].copy()))


async def cut(*sessions: Session) -> None:
    """From now on nothing comes or goes on their present connections, as when a router is unplugged."""
    for session in sessions:
        ice = session._connection._peer._pc.getTransceivers()[0].receiver.transport.transport._connection
        for protocol in ice._protocols:
            protocol.datagram_received = lambda data, addr: None
            protocol.send_stun = lambda message, addr: None
            protocol.send_data = lambda data, addr: asyncio.sleep(0)


@contextlib.asynccontextmanager
async def serving(**config: object) -> AsyncIterator[tuple[Studio, ClientSession, str]]:
    """A server on loopback, a client, and the server's address. Without a badge: it would lie over the flashes."""
    settings = ServeConfig(**{"port": 0, "badge": "off", **config})
    app: web.Application = make_app(settings)
    doors = Doors(app, settings)
    port = await doors.open()
    try:
        async with ClientSession() as http:
            yield app[STUDIO], http, f"http://127.0.0.1:{port}"
    finally:
        await doors.close()
