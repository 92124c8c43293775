"""What a browser sends: decoded frames are stamped on the server's loop and handed to whoever reads, the newest
frame of video, and the audio without holes. Several runs may read at once, as one takes over from another.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

from realtime_dub.audio.mono import MonoMixer
from realtime_dub.clock import Clock
from realtime_dub.fitting import Size
from realtime_dub.flow import LatestSlot
from realtime_dub.media import MS, NS, Samples, ticks_to_ns
from realtime_dub.web.limits import STILL_S, WAITING_BYTES, YIELDING_MS
from realtime_dub.web.rtc.activity import Activity
from realtime_dub.web.rtc.aiortc_access import AUDIO_DELAY_NS
from realtime_dub.web.rtc.capture_clock import CENTRE_NS, CaptureClock

RATE = 48_000
NETWORK_NS = 20 * MS  # later than the quickest packet, still within the budget that is planned without being asked
FRAME_DELAY_NS = 40 * MS - CENTRE_NS + NETWORK_NS  # a frame is known to be complete when the next one begins
QUEUE = 100  # frames of audio, two seconds
NO_PTS = -1  # what was before a track's first frame is lost
FADE = RATE * 5 // 1000  # samples; a step would click
PIXEL_BYTES = 4.5  # of a frame that waits: BGR, and the planes that it came in

Heard = tuple[Samples, int, bool]


class BrowserInput:
    """One browser's video and audio. Everything but ``add_*`` and ``remove`` is called on the loop."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.size: Size | None = None  # of the newest frame
        self.last_ns = clock.now_ns()  # when anything came
        self._filmed_ns: int | None = None  # when a frame came
        self._given_ns = 0  # when one was given to the readers
        self.on_size: Callable[[], None] = lambda: None
        self.on_frame: Callable[[Any, int], None] = lambda frame, captured_ns: None
        self.on_audio: Callable[[Samples, int], None] = lambda heard, captured_ns: None
        self.working_pixels = 1_280 * 720  # larger frames are made smaller
        self.share: Callable[[], int] = lambda: self.working_pixels  # of what the machine can do
        self.yields: Callable[[], bool] = lambda: False  # others have the machine
        self.capture_clock = CaptureClock(AUDIO_DELAY_NS)
        self._frame_readers: tuple[LatestSlot[tuple[Any, int]], ...] = ()
        self._audio_readers: tuple[queue.Queue[Heard], ...] = ()
        self.overflows = 0  # times that a reader was too slow for the audio
        self.packets_lost = {"audio": 0, "video": 0}  # so far, as the connection counts them
        self.muted = False  # from the next audio on
        self._level = 1.0  # of the last sample
        self._activity, self._spoke = Activity(), False
        self.on_speaking: Callable[[], None] = lambda: None  # somebody begins to speak there, or ends
        self._overrun: set[int] = set()  # readers whose last frame of audio was dropped
        self._next_pts: int | None = None
        self._audio_ns = 0  # the latest that audio was captured
        self._mono = MonoMixer(RATE)
        self._lock = threading.Lock()

    @property
    def moves(self) -> bool:
        """Frames come; a pipeline shows the last one on while none do."""
        return self._filmed_ns is not None and self.clock.now_ns() - self._filmed_ns < STILL_S * NS

    def most_pixels(self) -> int:
        """Asked for by the decoder's thread, for each frame."""
        return min(self.working_pixels, self.share())

    def wait(self, budget_ns: int, fps: float, most: int) -> None:
        """Frames are to wait so long: none is larger than ``most``, nor than leaves all that wait in bounds."""
        waiting = max(1, int(fps * budget_ns / NS))
        self.working_pixels = min(most, int(WAITING_BYTES / (PIXEL_BYTES * waiting)))

    def restart(self, kind: str) -> None:
        """A new track of that kind begins."""
        self.capture_clock.restart(kind)
        if kind == "audio":
            self._next_pts, self._mono = NO_PTS, MonoMixer(RATE)

    def add_frame(self, frame: Any) -> None:
        """A decoded ``av.VideoFrame``."""
        self.last_ns = self._filmed_ns = now_ns = self.clock.now_ns()
        captured_ns = self.capture_clock.frame_ns(ticks_to_ns(frame.pts, Fraction(frame.time_base)), now_ns)
        self.on_frame(frame, captured_ns)
        if not self.yields() or now_ns - self._given_ns >= YIELDING_MS * MS:
            self._given_ns = now_ns
            for slot in self._frame_readers:
                slot.put((frame, captured_ns))
        first, self.size = self.size is None, (frame.width, frame.height)
        if first:
            self.on_size()

    def add_audio(self, frame: Any) -> None:
        """A decoded ``av.AudioFrame``, s16, at 48 kHz."""
        self.last_ns = now_ns = self.clock.now_ns()
        lost = self._next_pts is not None and frame.pts != self._next_pts
        self._next_pts = frame.pts + frame.samples
        reported_ns = self.capture_clock.audio_ns(ticks_to_ns(frame.pts, Fraction(frame.time_base)), now_ns)
        # Stamps that go to and fro would have holes filled for longer than the stream lasts.
        captured_ns = self._audio_ns = max(self._audio_ns, min(reported_ns, now_ns))
        heard = self._faded(self._mono(samples_of(frame))[:, None])
        self._follow(heard, now_ns)
        self.on_audio(heard, captured_ns)
        self.give(heard, captured_ns, lost)

    def add_samples(self, samples: Samples, captured_ns: int) -> None:
        """(n, 1) at 48 kHz of a program, in place of decoded frames; blocks follow each other without a hole."""
        self.last_ns = now_ns = self.clock.now_ns()
        heard = self._faded(samples)
        self._follow(heard, now_ns)
        self.give(heard, captured_ns, False)

    def _follow(self, heard: Samples, now_ns: int) -> None:
        self._activity.hear(heard, now_ns)
        before, self._spoke = self._spoke, self._activity.speaks(now_ns)
        if self._spoke != before:
            self.on_speaking()

    @property
    def speaks(self) -> bool:
        """Somebody does just now."""
        return self._activity.speaks(self.clock.now_ns())

    def _faded(self, heard: Samples) -> Samples:
        level = 0.0 if self.muted else 1.0
        if level == self._level == 1.0:
            return heard
        gain = np.full(len(heard), level, np.float32)
        gain[:FADE] = np.linspace(self._level, level, len(gain[:FADE]))
        self._level = level
        return heard * gain[:, None]

    def give(self, heard: Samples, captured_ns: int, lost: bool) -> None:
        """To whoever reads. ``lost``: something before it did not come."""
        for each in self._audio_readers:
            if each.full():
                self.overflows += id(each) not in self._overrun
                self._overrun.add(id(each))
                continue
            each.put_nowait((heard, captured_ns, lost or id(each) in self._overrun))
            self._overrun.discard(id(each))

    def add_frame_reader(self) -> LatestSlot[tuple[Any, int]]:
        slot: LatestSlot[tuple[Any, int]] = LatestSlot()
        with self._lock:
            self._frame_readers += (slot,)
        return slot

    def add_audio_reader(self) -> queue.Queue[Heard]:
        heard: queue.Queue[Heard] = queue.Queue(QUEUE)
        with self._lock:
            self._audio_readers += (heard,)
        return heard

    def remove(self, reader: object) -> None:
        with self._lock:
            self._frame_readers = tuple(each for each in self._frame_readers if each is not reader)
            self._audio_readers = tuple(each for each in self._audio_readers if each is not reader)
            self._overrun.discard(id(reader))


def samples_of(frame: Any) -> Samples:
    """(n, channels) of an interleaved or planar frame of 16-bit audio."""
    values = frame.to_ndarray()
    if not frame.format.is_planar:
        values = values.reshape(-1, frame.layout.nb_channels).T
    samples: Samples = values.T.astype(np.float32) / np.float32(32_768)
    return samples
