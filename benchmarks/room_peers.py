"""People of a room without browsers: what they send carries marks, what they get is read for them.

A mark of video is a bright corner for two frames, a mark of audio a short high tone; both at the beginning of a second
of the machine's monotonic clock. What comes back is stamped when it was decoded, and, where the server's reports say
so, with the time at which it left the server: by that time a browser brings video and audio together.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import math
import time
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
from aiohttp import ClientSession
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av import AudioFrame, VideoFrame

from realtime_dub.errors import EndOfStream
from realtime_dub.media import NS, ticks_to_ns
from realtime_dub.sources.demo import DemoSource
from realtime_dub.sources.demo_voice import DemoVoiceSource
from realtime_dub.web.rtc import aiortc_access

RATE, SAMPLES = 48_000, 960
WINDOW = 120  # samples: 2.5 ms
TONE_S = 0.02
CORNER = 32  # pixels of a side
HEADERS = {"X-Requested-With": "realtime-dub"}
CLOCKS = {"video": 90_000, "audio": 48_000}
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Sound:
    """What somebody says in ``on_s`` of each ``period_s``, with marks in it.

    It is the built-in speech, of which mouths are made, or a tone, syllable by syllable, which can be told from what
    others say; or both.
    """

    mark_hz: float
    tone_hz: float = 0  # none
    speech: bool = True
    on_s: float = 1.0
    period_s: float = 1.0

    def speaks(self, at_s: Floats) -> npt.NDArray[np.bool_]:
        return np.asarray(at_s % self.period_s < self.on_s)

    def at(self, at_s: Floats) -> Floats:
        mark = (at_s % 1.0 < TONE_S) * 0.5 * np.sin(2 * np.pi * self.mark_hz * at_s)
        return np.asarray(self.speaks(at_s) * (self._voice(at_s) + mark))

    def _voice(self, at_s: Floats) -> Floats:
        syllables = 0.10 + 0.05 * np.sin(2 * np.pi * 4 * at_s)
        voice = syllables * np.sin(2 * np.pi * self.tone_hz * at_s)
        if self.speech:
            wave = speech()
            voice = voice + wave[np.round(at_s * RATE).astype(int) % len(wave)]
        return np.asarray(voice)


@functools.cache
def speech() -> Floats:
    """The speech that comes with the package, mono at ``RATE``."""
    source = DemoVoiceSource()
    info = source.open()
    assert info.rate == RATE
    blocks = []
    with contextlib.suppress(EndOfStream):
        while True:
            blocks.append(source.read().samples)
    source.close()
    return np.concatenate(blocks)[:, 0].astype(np.float64)


class Paced(MediaStreamTrack):
    """A track whose frame ``n`` leaves at ``n * step_s`` on the monotonic clock, since ``began_s``: a whole second."""

    step_s: float

    def __init__(self) -> None:
        super().__init__()
        self.began_s = math.ceil(time.monotonic())
        self._count = 0

    async def next(self) -> tuple[int, float]:
        count, self._count = self._count, self._count + 1
        at_s = self.began_s + count * self.step_s
        await asyncio.sleep(max(0.0, at_s - time.monotonic()))
        if self.readyState != "live":
            raise MediaStreamError
        return count, at_s


class Face(Paced):
    kind = "video"

    def __init__(self, height: int, fps: int) -> None:
        self.step_s = 1 / fps
        self._fps = fps
        source = DemoSource(height * 16 // 9 & ~1, height, fps)
        source.open()
        self._frames = [[self._marked(np.array(source.read().image), on) for on in (False, True)] for _ in range(fps)]
        source.close()
        super().__init__()

    @staticmethod
    def _marked(image: npt.NDArray[np.uint8], on: bool) -> VideoFrame:
        marked = image.copy()
        marked[:CORNER, :CORNER] = 255 if on else 0
        return VideoFrame.from_ndarray(marked, format="bgr24").reformat(format="yuv420p")

    async def recv(self) -> VideoFrame:
        count, at_s = await self.next()
        frame = self._frames[count % self._fps][at_s % 1.0 < 1.5 / self._fps]
        frame.pts, frame.time_base = count * 90_000 // self._fps, Fraction(1, 90_000)
        return frame


class Voice(Paced):
    kind = "audio"
    step_s = SAMPLES / RATE

    def __init__(self, sound: Sound) -> None:
        super().__init__()
        self._sound = sound

    async def recv(self) -> AudioFrame:
        count, at_s = await self.next()  # what was said in the 20 ms before it leaves
        wave = self._sound.at(at_s - self.step_s + np.arange(SAMPLES) / RATE)
        frame = AudioFrame.from_ndarray((wave * 32_767).astype(np.int16)[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE, count * SAMPLES, Fraction(1, RATE)
        return frame


@dataclass
class Got:
    """What came, each with when it was decoded and with its own time: (s, ns, whether its corner is bright) and
    (s, ns, strength of each tone in each window).
    """

    corners: list[tuple[float, int, bool]] = field(default_factory=list)
    tones: list[tuple[float, int, dict[float, Floats]]] = field(default_factory=list)
    left: dict[str, tuple[int, int]] = field(default_factory=dict)  # of a kind: when on the server's clock, its time
    stats: list[dict[str, Any]] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)  # something was told
    seen: asyncio.Event = field(default_factory=asyncio.Event)  # a picture came


class Person:
    """One page's part. ``tracks`` are sent; ``hears`` are the tones that are looked for."""

    def __init__(self, url: str, tracks: tuple[MediaStreamTrack, ...], hears: tuple[float, ...] = ()) -> None:
        self.got, self.id, self._url, self._hears = Got(), "", url.rstrip("/"), hears
        self.tracks = tracks
        self._pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._channel = self._pc.createDataChannel("control")
        self._channel.on("message", self._message)
        self._pc.on("track", lambda track: self._tasks.append(asyncio.create_task(self._read(track))))
        self._tasks: list[asyncio.Task[None]] = []
        sent = {track.kind for track in tracks}
        for track in tracks:
            self._pc.addTrack(track)
        for kind in {"video", "audio"} - sent:
            self._pc.addTransceiver(kind, "recvonly")

    async def connect(self, **options: object) -> None:
        await self.open(options)

    async def open(self, options: dict[str, object], after: str | None = None) -> None:
        """``after``: the session that this page had and lost. Raises RuntimeError where it is refused."""
        await self._pc.setLocalDescription(await self._pc.createOffer())
        body: dict[str, object] = {"sdp": self._pc.localDescription.sdp, "type": "offer", "options": options}
        body |= {"after": after} if after else {}
        async with ClientSession(headers=HEADERS) as http, http.post(f"{self._url}/api/sessions", json=body) as answer:
            told = await answer.json()
            if answer.status != 201:
                raise RuntimeError(told["error"]["what"])
        self.id = told["id"]
        await self._pc.setRemoteDescription(RTCSessionDescription(told["sdp"], "answer"))
        for receiver in self._pc.getReceivers():
            kind = receiver.track.kind
            aiortc_access.on_sender_report(receiver, CLOCKS[kind], functools.partial(self._report, kind))

    async def statistics(self) -> Any:
        """As WebRTC has them."""
        return await self._pc.getStats()

    @property
    def ended(self) -> bool:
        """The other side has said so."""
        return self._pc.connectionState in ("closed", "failed") or self._channel.readyState == "closed"

    async def close(self) -> None:
        await aiortc_access.close(self._pc)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _report(self, kind: str, ntp_ns: int, pts_ns: int) -> None:
        self.got.left[kind] = ntp_ns, pts_ns

    def _message(self, text: str) -> None:
        told = json.loads(text)
        if told.get("t") == "stats":
            self.got.stats.append(told)
            self.got.news.set()

    async def _read(self, track: Any) -> None:
        with contextlib.suppress(MediaStreamError):
            while True:
                frame = await track.recv()
                now_s, pts_ns = time.monotonic(), ticks_to_ns(frame.pts, Fraction(frame.time_base))
                if track.kind == "video":
                    corner = np.asarray(frame.to_ndarray())[4 : CORNER - 12, 4 : CORNER - 12]  # of the luma
                    self.got.seen.set()
                    self.got.corners.append((now_s, pts_ns, bool(corner.mean() > 128)))
                else:
                    wave = frame.to_ndarray().reshape(-1, len(frame.layout.channels))[:, 0] / 32_768
                    self.got.tones.append((now_s, pts_ns, {hz: strength(wave, hz) for hz in self._hears}))


def strength(wave: Floats, hz: float) -> Floats:
    """Amplitude of a tone in each window of it."""
    windows = wave[: len(wave) // WINDOW * WINDOW].reshape(-1, WINDOW)
    turn = np.exp(-2j * np.pi * hz * np.arange(WINDOW) / RATE)
    return np.asarray(2 * np.abs(windows @ turn) / WINDOW)


def flashes(got: Got) -> list[tuple[float, int]]:
    """When each mark of video came: on the monotonic clock, and in its own time."""
    seen = [(at_s, pts_ns) for (at_s, pts_ns, on), before in zip(got.corners[1:], got.corners, strict=False)
            if on and not before[2]]  # fmt: skip
    return seen


def marks(got: Got, hz: float, least: float) -> list[tuple[float, int]]:
    """When each mark of audio came: its first window of that strength, at least half a second after the last one."""
    found: list[tuple[float, int]] = []
    for at_s, pts_ns, tones in got.tones:
        loud = np.flatnonzero(tones[hz] > least)
        if len(loud):
            ns = pts_ns + int(loud[0]) * WINDOW * NS // RATE
            if not found or ns - found[-1][1] > NS // 2:
                found.append((at_s + int(loud[0]) * WINDOW / RATE, ns))
    return found


def left_ns(got: Got, kind: str, pts_ns: int) -> int | None:
    """When it left, on the server's clock, as its newest report tells."""
    if kind not in got.left:
        return None
    ntp_ns, at_ns = got.left[kind]
    return ntp_ns + pts_ns - at_ns
