"""A timeline encoded once for all who watch it: its video once per codec, its audio once per level of the original.

aiortc has an encoder for each connection. Here what one encoder made is cut into the payloads of RTP, and given to all
who take it, one after another, with a rest for whatever else the loop has to do. What a timeline's encoders are is kept
by the timeline: the first who watches makes one, the last who leaves ends it.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from aiortc.codecs.opus import OpusEncoder
from aiortc.mediastreams import MediaStreamError

from realtime_dub.media import ticks_to_ns
from realtime_dub.web.limits import WHOLE_REST_S
from realtime_dub.web.rtc import headers
from realtime_dub.web.rtc.encoders import WHOLE
from realtime_dub.web.rtc.forwarder.forwarder import Forwarder
from realtime_dub.web.rtc.forwarder.group import Group
from realtime_dub.web.rtc.output_timeline import AudioOut, OutputTimeline
from realtime_dub.web.rtc.packets import Packet

AT_ONCE_S = 0.0006  # of forwarding, before others on the loop have their turn
LEVEL_STEPS = 20  # levels of the original under the voice are told apart by 5 %: eight at most, and silence


class Stream(ABC):
    """One encoder's packets, for all who joined. On the loop; it encodes on other threads."""

    def __init__(self, timeline: OutputTimeline, key: object, codec: str) -> None:
        """``codec`` as ``video/vp8``."""
        self._timeline, self._key, self._codec = timeline, key, codec
        self._takers: dict[Callable[[Packet], None], None] = {}  # in the order in which they joined
        self._apart: dict[Callable[[Packet], None], None] = {}  # those whom a forwarder serves
        self._group: Group | None = None
        self._track: Any = None
        self._task: asyncio.Task[None] | None = None

    @property
    def takers(self) -> int:
        return len(self._takers) + len(self._apart)

    def join(self, take: Callable[[Packet], None]) -> None:
        self._takers[take] = None
        if self._task is None:
            self._track = self._make_track()
            self._task = asyncio.create_task(self._run(self._track), name="encoder")

    def leave(self, take: Callable[[Packet], None]) -> None:
        """Idempotent. With the last one the encoder ends."""
        self._takers.pop(take, None)
        self._apart.pop(take, None)
        if not self.takers and self._task is not None:
            self._timeline.encoded.pop(self._key, None)
            self._track.stop()
            self._task.cancel()
            self._task = None

    def leave_to(self, take: Callable[[Packet], None], other: Callable[[Packet], None]) -> None:
        """``other`` takes from now on in the place of ``take``."""
        self._takers.pop(take, None)
        self._takers[other] = None

    def group(self, forwarder: Forwarder) -> Group:
        """Of those whom it serves."""
        if self._group is None:
            self._group = Group(forwarder, self.ask_whole)
        return self._group

    def set_apart(self, take: Callable[[Packet], None]) -> None:
        """It is in the group from now on."""
        self._takers.pop(take, None)
        self._apart[take] = None

    def take_back(self, take: Callable[[Packet], None]) -> None:
        """It is not any more."""
        self._apart.pop(take, None)
        self._takers[take] = None

    @abstractmethod
    def ask_whole(self) -> None:
        """For somebody who has just come, or has lost something."""

    @abstractmethod
    def _make_track(self) -> Any:
        """Of raw frames."""

    async def _due(self, track: Any) -> list[Any]:
        """The next frames, once they are to leave; one, but where several are late. Raises MediaStreamError."""
        return [await track.recv()]

    @abstractmethod
    async def _encode(self, frames: list[Any]) -> list[tuple[Any, bytes, bool]]:
        """What they become: of each part its frame, and whether it is whole."""

    @abstractmethod
    def _end(self) -> None:
        """The encoder is of no more use."""

    async def _run(self, track: Any) -> None:
        try:
            while True:
                for frame, data, whole in await self._encode(await self._due(track)):
                    leaves_ns = self._timeline.leaves_ns(ticks_to_ns(frame.pts, Fraction(frame.time_base)))
                    await self._give(Packet.of(self._codec, data, leaves_ns, whole))
        except MediaStreamError:
            pass  # the last one has left
        finally:
            self._end()

    async def _give(self, packet: Packet) -> None:
        """To all who take it."""
        if self._apart and self._group is not None:
            self._group.give(packet)
        ends_s = time.perf_counter() + AT_ONCE_S
        for take in tuple(self._takers):
            if take in self._takers:  # still
                take(packet)
            if time.perf_counter() > ends_s:
                await asyncio.sleep(0)
                ends_s = time.perf_counter() + AT_ONCE_S


class VideoStream(Stream):
    """In one codec. Its bitrate is what the middle one of those who watch can take: no line slows all others down."""

    def __init__(self, timeline: OutputTimeline, codec: str, start: int, most: int) -> None:
        """``codec`` as ``video/vp8``; bits per second to begin with, and at most."""
        super().__init__(timeline, codec, codec)
        self._encoder = WHOLE[codec](start, most)
        self._estimates: dict[object, int] = {}
        self._whole_asked, self._whole_s = True, 0.0

    def join(self, take: Callable[[Packet], None]) -> None:
        self.ask_whole()
        super().join(take)

    def leave(self, take: Callable[[Packet], None]) -> None:
        self._estimates.pop(take, None)
        super().leave(take)

    def ask_whole(self) -> None:
        """All get one, not more than a few in a second."""
        self._whole_asked = True

    def estimate(self, taker: object, bitrate: int) -> None:
        """What one of those who watch can take, in bits per second."""
        if taker in self._takers or taker in self._apart:
            self._estimates[taker] = bitrate
            self._encoder.target_bitrate = statistics.median_high(self._estimates.values())

    def _make_track(self) -> Any:
        return self._timeline.subscribe()

    async def _encode(self, frames: list[Any]) -> list[tuple[Any, bytes, bool]]:
        (frame,), now_s = frames, time.monotonic()
        asked = self._whole_asked and now_s - self._whole_s >= WHOLE_REST_S
        loop = asyncio.get_running_loop()
        payloads, _ = await loop.run_in_executor(None, self._encoder.encode, frame, asked)
        made = [(frame, data, headers.read(self._codec.partition("/")[2], data).whole) for data in payloads if data]
        if any(whole for _, _, whole in made):
            self._whole_asked, self._whole_s = self._whole_asked and not asked, now_s
        return made

    def _end(self) -> None:
        self._encoder.close()


class AudioStream(Stream):
    """With the original under it at one level."""

    def __init__(self, timeline: OutputTimeline, level: float) -> None:
        super().__init__(timeline, level, "audio/opus")
        self._level = level
        self._encoder = OpusEncoder()

    def ask_whole(self) -> None:
        """Each is."""

    def _make_track(self) -> Any:
        return AudioOut(self._timeline, lambda: self._level)

    async def _due(self, track: Any) -> list[Any]:
        return [*await super()._due(track), *track.late()]

    async def _encode(self, frames: list[Any]) -> list[tuple[Any, bytes, bool]]:
        """All in one turn on another thread: a turn for each, which waits for the core and the loop, and a machine that
        is busy would lose most of the voice.
        """

        def encode() -> list[tuple[Any, bytes, bool]]:
            return [(frame, data, True) for frame in frames for data in self._encoder.encode(frame)[0]]

        return await asyncio.get_running_loop().run_in_executor(None, encode)

    def _end(self) -> None:
        """It has nothing but memory."""


def video_of(timeline: OutputTimeline, codec: str, start: int, most: int) -> VideoStream:
    """The one that all of that codec share. One that is made now has these bitrates."""
    most = min(most, timeline.most_kbps * 1000) if timeline.most_kbps else most
    found = timeline.encoded.get(codec)
    if not isinstance(found, VideoStream):
        found = timeline.encoded[codec] = VideoStream(timeline, codec, min(start, most), most)
    return found


def audio_of(timeline: OutputTimeline, level: float) -> AudioStream:
    """The one that all who hear the original at about that level share."""
    step = round(level * LEVEL_STEPS) / LEVEL_STEPS
    found = timeline.encoded.get(step)
    if not isinstance(found, AudioStream):
        found = timeline.encoded[step] = AudioStream(timeline, step)
    return found
