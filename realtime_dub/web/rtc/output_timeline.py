"""What a session gives: dubbed frames and the delayed voice as tracks, released together on one time line.

A frame of presentation time p leaves at ``origin + p + lag``, audio in frames of 20 ms, silence where there is none. A
browser brings video and audio together by what the sender reports say of that instant. Runs of the pipeline come and
go; the time line goes on.
"""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections import deque
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any, Literal, Protocol

import numpy as np
from aiortc.mediastreams import VIDEO_TIME_BASE, MediaStreamError, MediaStreamTrack
from av import AudioFrame, VideoFrame

from realtime_dub.audio.mono import MonoMixer
from realtime_dub.audio.resample import StreamResampler
from realtime_dub.clock import Clock
from realtime_dub.flow import AudioRing
from realtime_dub.i420 import Planes, planes_of
from realtime_dub.media import MS, NS, AudioBlock, OutputFormat, Samples, Tick, ns_to_ticks, samples_to_ns
from realtime_dub.web.config import FRAME_MS
from realtime_dub.web.limits import STILL_S
from realtime_dub.web.rtc.original_below import OriginalBelow

RATE = 48_000
FRAME_NS = FRAME_MS * MS
FRAME_SAMPLES = RATE * FRAME_MS // 1000
LAG_NS = 5 * MS  # for the way from the tick through the publisher's thread to the loop
KEPT_NS = 2 * NS
PENDING = 4  # frames; the newest that is due leaves
SLACK_NS = 40 * MS  # by which a frame may leave late rather than never: a thread came late once


class TakesFrames(Protocol):
    def put(self, planes: Planes, pts_ns: int) -> None:
        """The next frame, a moment before it is to leave."""


class OutputTimeline:
    """The output of one session, or of a room's senders one after another.

    Runs publish from their threads; tracks read on the loop.
    """

    def __init__(self, clock: Clock, loop: asyncio.AbstractEventLoop) -> None:
        self.clock, self.loop = clock, loop
        self.ring = AudioRing(RATE, 1, KEPT_NS)
        self.origin_ns: int | None = None  # the clock at presentation time 0
        self.lag_ns = LAG_NS
        self.most_kbps: int | None = None  # of its video, where that is less than the server allows
        self.started = asyncio.Event()
        self._run = 0
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._readers: tuple[TakesFrames, ...] = ()
        self.sent = 0  # frames handed to the loop
        self._sent_ns = 0  # when the last one was
        self.recorder: Callable[[Tick, int], None] | None = None  # takes a tick, and its pts here
        self.encoded: dict[object, Any] = {}  # what all who watch share, by codec or level (shared_encoding)
        self.below = OriginalBelow()  # what may be mixed under its audio
        self.taken_over: Callable[[int], None] = lambda run: None  # on the loop: this run gives the output now

    def next_run(self) -> int:
        """The number of a run that is made now: the later one takes over, whosesoever session it is."""
        return next(self._numbers)

    def begin(self, run: int, period_ns: int) -> int | None:
        """Run ``run`` has its first tick: from now on the earlier ones are not heard. Where its time 0 lies in ours."""
        with self._lock:
            if run < self._run:
                return None
            self._run = run
            if period_ns % FRAME_NS:
                self.lag_ns = LAG_NS + FRAME_NS  # a frame of audio may need the next tick
            self.loop.call_soon_threadsafe(self.taken_over, run)
            now_ns = self.clock.now_ns()
            if self.origin_ns is None:
                self.origin_ns = now_ns
                self.loop.call_soon_threadsafe(self.started.set)
            return -(-(now_ns - self.origin_ns) // FRAME_NS) * FRAME_NS

    def begin_at(self, origin_ns: int) -> int:
        """Time 0 is there; for what is no run's. Where it lies: the first call decides."""
        if self.origin_ns is None:
            self.origin_ns = origin_ns
            self.started.set()
        return self.origin_ns

    def current(self, run: int) -> bool:
        return run == self._run

    def add_frame(self, planes: Planes, pts_ns: int) -> None:
        self.loop.call_soon_threadsafe(self._add_frame, planes, pts_ns)

    def subscribe(self) -> VideoOut:
        """A video track of its own. On the loop."""
        reader = VideoOut(self)
        self.add(reader)
        return reader

    def add(self, reader: TakesFrames) -> None:
        """Frames are put into it from now on, on the loop."""
        self._readers += (reader,)

    def remove(self, reader: TakesFrames) -> None:
        self._readers = tuple(each for each in self._readers if each is not reader)

    @property
    def flows(self) -> bool:
        """Pictures leave; none do where a run stands still or has ended."""
        return self.sent > 0 and self.clock.now_ns() - self._sent_ns < STILL_S * NS

    @property
    def watched(self) -> int:
        return len(self._readers)

    def leaves_ns(self, pts_ns: int) -> int:
        """When a frame of that time is to leave, on the clock."""
        assert self.origin_ns is not None
        return self.origin_ns + pts_ns + self.lag_ns

    def late_ns(self, pts_ns: int) -> int:
        """Since a frame of that time was to leave."""
        return self.clock.now_ns() - self.leaves_ns(pts_ns)

    async def until(self, pts_ns: int) -> None:
        """Until a frame of ``pts_ns`` is to leave."""
        await self.clock.sleep_until(self.leaves_ns(pts_ns))

    def _add_frame(self, planes: Planes, pts_ns: int) -> None:
        self.sent += 1
        self._sent_ns = self.clock.now_ns()
        for reader in self._readers:
            reader.put(planes, pts_ns)


class TimelinePublisher:
    """A publisher of one run of the pipeline into an output timeline."""

    name = "webrtc"
    policy: Literal["latest", "every"] = "every"
    latency_ns = 0

    def __init__(self, timeline: OutputTimeline, run: int) -> None:
        self._timeline, self._run = timeline, run
        self._base_ns: int | None = None
        self._resampler: StreamResampler | None = None
        self._given = 0  # samples at 48 kHz

    def open(self, fmt: OutputFormat) -> None:
        self._period_ns = round(NS / fmt.fps)
        self._mono = MonoMixer(fmt.rate)
        if fmt.rate != RATE:
            self._resampler = StreamResampler(fmt.rate, RATE, 1)

    def publish(self, tick: Tick) -> None:
        if self._base_ns is None:
            self._base_ns = self._timeline.begin(self._run, self._period_ns)
        if self._base_ns is None or not self._timeline.current(self._run):
            return
        if tick.audio is not None:
            self._add_audio(tick.audio.samples)
        if (record := self._timeline.recorder) is not None:
            record(tick, self._base_ns + tick.pts_ns)
        self._timeline.add_frame(planes_of(tick), self._base_ns + tick.pts_ns)

    def close(self) -> None:
        """The output timeline is the session's."""

    def _add_audio(self, samples: Samples) -> None:
        assert self._base_ns is not None
        mixed = self._mono(samples)[:, None]
        if self._resampler is not None:
            mixed = self._resampler.process(mixed)
        start_ns = self._base_ns + samples_to_ns(self._given, RATE)
        self._given += len(mixed)
        self._timeline.ring.write(AudioBlock(mixed, RATE, start_ns))


class VideoOut(MediaStreamTrack):
    """The newest frame that is due, or the one before it where that was late once. A slow encoder skips."""

    kind = "video"

    def __init__(self, timeline: OutputTimeline) -> None:
        super().__init__()
        self._timeline = timeline
        self._pending: deque[tuple[Planes, int]] = deque(maxlen=PENDING)
        self._came = asyncio.Event()
        self._given_ns = 0  # the time of the frame that was given last

    def late_ns(self) -> int:
        """Since the frame that was given last was to leave."""
        return self._timeline.late_ns(self._given_ns)

    def put(self, planes: Planes, pts_ns: int) -> None:
        self._pending.append((planes, pts_ns))
        self._came.set()

    async def recv(self) -> VideoFrame:
        while True:
            if self.readyState != "live":
                raise MediaStreamError
            if not self._pending:
                self._came.clear()
                await self._came.wait()
                continue
            await self._timeline.until(self._pending[0][1])
            planes, pts_ns = self._due()
            self._given_ns = pts_ns
            frame = VideoFrame.from_ndarray(planes, format="yuv420p")
            frame.pts, frame.time_base = ns_to_ticks(pts_ns, VIDEO_TIME_BASE), VIDEO_TIME_BASE
            return frame

    def stop(self) -> None:
        super().stop()
        self._timeline.remove(self)
        self._came.set()

    def _due(self) -> tuple[Planes, int]:
        assert self._timeline.origin_ns is not None
        now_ns = self._timeline.clock.now_ns() - self._timeline.origin_ns - self._timeline.lag_ns
        taken = self._pending.popleft()
        while self._pending and self._pending[0][1] + SLACK_NS <= now_ns:
            taken = self._pending.popleft()
        return taken


class AudioOut(MediaStreamTrack):
    """The voice in frames of exactly 20 ms, from the first tick on, without a hole.

    ``level`` says how loud the original is under it, 0 to 1.
    """

    kind = "audio"

    def __init__(self, timeline: OutputTimeline, level: Callable[[], float] = lambda: 0.0) -> None:
        super().__init__()
        self._timeline, self._level = timeline, level
        self._faded = 0.0  # the level of the last sample
        self._next: int | None = None  # number of the frame

    def late_ns(self) -> int:
        """Since the frame that was given last was to leave."""
        return self._timeline.late_ns(((self._next or 1) - 1) * FRAME_NS)

    async def recv(self) -> AudioFrame:
        timeline = self._timeline
        await timeline.started.wait()
        assert timeline.origin_ns is not None
        now = (timeline.clock.now_ns() - timeline.origin_ns) // FRAME_NS
        if self._next is None or now - self._next > RATE // FRAME_SAMPLES:  # joined, or slept for a second
            self._next = max(0, now)
        await timeline.until(self._next * FRAME_NS)
        if self.readyState != "live":
            raise MediaStreamError
        return self._taken(self._next)

    def late(self) -> Iterator[AudioFrame]:
        """After :meth:`recv`: what is to have left by now, too. Nothing where whoever sends is in time."""
        assert self._next is not None
        while self._timeline.late_ns(self._next * FRAME_NS) >= 0:
            yield self._taken(self._next)

    def _taken(self, number: int) -> AudioFrame:
        self._next = number + 1
        samples = self._mixed(self._timeline.ring.read(number * FRAME_NS, FRAME_SAMPLES), number)
        frame: AudioFrame = audio_frame(samples, number * FRAME_SAMPLES)
        return frame

    def _mixed(self, samples: Samples, number: int) -> Samples:
        """A level that is changed is gone over to within the frame."""
        before, self._faded = self._faded, self._level()
        if before == self._faded == 0.0:
            return samples
        level = np.linspace(before, self._faded, FRAME_SAMPLES, dtype=np.float32)[:, None]
        return samples + level * self._timeline.below.block(number)


def audio_frame(samples: Samples, pts: int) -> Any:
    """(n, 1) as 16-bit mono at 48 kHz."""
    values = np.clip(np.round(samples.T * 32_767), -32_768, 32_767).astype(np.int16)
    frame: Any = AudioFrame.from_ndarray(np.ascontiguousarray(values), format="s16", layout="mono")
    frame.sample_rate, frame.pts, frame.time_base = RATE, pts, Fraction(1, RATE)
    return frame
