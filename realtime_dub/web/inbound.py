"""What a browser sends, as sources of a pipeline.

:class:`Inbound` takes decoded frames on the server's loop, stamps them and hands them to whoever reads: the newest
picture, and the sound without holes. Several runs may read at once, as one takes over from another.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import av
import cv2
import numpy as np
from av.video.reformatter import ColorRange, VideoReformatter

from realtime_dub.audio.drift import DriftCorrector
from realtime_dub.audio.mono import MonoMixer
from realtime_dub.clock import Clock
from realtime_dub.errors import EndOfStream
from realtime_dub.fitting import Size
from realtime_dub.flow import LatestSlot
from realtime_dub.losses import Lost
from realtime_dub.media import MS, NS, AudioBlock, Frame, Image, Samples, VideoInfo, VoiceInfo, ticks_to_ns
from realtime_dub.sources.to_bgr import INTERPOLATION, UNSPECIFIED_MATRIX
from realtime_dub.web.aiortc_access import SOUND_DELAY_NS
from realtime_dub.web.decoding import fitted
from realtime_dub.web.limits import STILL_S, WAITING_BYTES
from realtime_dub.web.timeline import CENTRE_NS, MediaClock

RATE, CHANNELS = 48_000, 1
NETWORK_NS = 20 * MS  # later than the quickest packet, still within the budget that is planned without being asked
PICTURE_DELAY_NS = 40 * MS - CENTRE_NS + NETWORK_NS  # a frame is known to be complete when the next one begins
WAIT_S = 0.05
PAUSE_NS = 200 * MS  # a longer hole in the stamps is a pause
LONGEST_LOSS_NS = 2 * NS  # that is filled with silence; longer ones are pauses, too
BT_601 = (UNSPECIFIED_MATRIX, 5, 6)  # AVCOL_SPC_BT470BG, AVCOL_SPC_SMPTE170M; what browsers send without a tag
QUEUE = 100  # frames of sound, two seconds
NO_PTS = -1  # what was before a track's first frame is lost

_Heard = tuple[Samples, int, bool]


class Inbound:
    """One browser's picture and sound. Everything but ``add_*`` and ``remove`` is called on the loop."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.size: Size | None = None  # of the newest picture
        self.last_ns = clock.now_ns()  # when anything came
        self._pictured_ns: int | None = None  # when a picture came
        self.on_size: Callable[[], None] = lambda: None
        self.working_pixels = 1_280 * 720  # larger pictures are made smaller
        self.times = MediaClock(SOUND_DELAY_NS)
        self._pictures: tuple[LatestSlot[tuple[Any, int]], ...] = ()
        self._sounds: tuple[queue.Queue[_Heard], ...] = ()
        self.overflows = 0  # times that a reader was too slow for the sound
        self.packets_lost = {"audio": 0, "video": 0}  # so far, as the connection counts them
        self._overrun: set[int] = set()  # readers whose last frame of sound was dropped
        self._next_pts: int | None = None
        self._sound_ns = 0  # the latest that sound was captured
        self._mono = MonoMixer(RATE)
        self._lock = threading.Lock()

    @property
    def moves(self) -> bool:
        """Pictures come; a pipeline shows the last one on while none do."""
        return self._pictured_ns is not None and self.clock.now_ns() - self._pictured_ns < STILL_S * NS

    def most_pixels(self) -> int:
        """Asked for by the decoder's thread."""
        return self.working_pixels

    def wait(self, budget_ns: int, fps: float, most: int) -> None:
        """Pictures are to wait so long: none is larger than ``most``, nor than leaves all that wait in bounds."""
        waiting = max(1, int(fps * budget_ns / NS))
        self.working_pixels = min(most, WAITING_BYTES // (3 * waiting))

    def restart(self, kind: str) -> None:
        """A new track of that kind begins."""
        self.times.restart(kind)
        if kind == "audio":
            self._next_pts, self._mono = NO_PTS, MonoMixer(RATE)

    def picture(self, frame: Any) -> None:
        """A decoded ``av.VideoFrame``."""
        self.last_ns = self._pictured_ns = now_ns = self.clock.now_ns()
        captured_ns = self.times.picture_ns(ticks_to_ns(frame.pts, Fraction(frame.time_base)), now_ns)
        for slot in self._pictures:
            slot.put((frame, captured_ns))
        first, self.size = self.size is None, (frame.width, frame.height)
        if first:
            self.on_size()

    def sound(self, frame: Any) -> None:
        """A decoded ``av.AudioFrame``, s16, at 48 kHz."""
        self.last_ns = now_ns = self.clock.now_ns()
        lost = self._next_pts is not None and frame.pts != self._next_pts
        self._next_pts = frame.pts + frame.samples
        told_ns = self.times.sound_ns(ticks_to_ns(frame.pts, Fraction(frame.time_base)), now_ns)
        # Stamps that go to and fro would have holes filled for longer than the stream lasts.
        captured_ns = self._sound_ns = max(self._sound_ns, min(told_ns, now_ns))
        self.give(self._mono(samples_of(frame))[:, None], captured_ns, lost)

    def give(self, heard: Samples, captured_ns: int, lost: bool) -> None:
        """To whoever reads. ``lost``: something before it did not come."""
        for each in self._sounds:
            if each.full():
                self.overflows += id(each) not in self._overrun
                self._overrun.add(id(each))
                continue
            each.put_nowait((heard, captured_ns, lost or id(each) in self._overrun))
            self._overrun.discard(id(each))

    def add_pictures(self) -> LatestSlot[tuple[Any, int]]:
        slot: LatestSlot[tuple[Any, int]] = LatestSlot()
        with self._lock:
            self._pictures += (slot,)
        return slot

    def add_sounds(self) -> queue.Queue[_Heard]:
        sounds: queue.Queue[_Heard] = queue.Queue(QUEUE)
        with self._lock:
            self._sounds += (sounds,)
        return sounds

    def remove(self, reader: object) -> None:
        with self._lock:
            self._pictures = tuple(each for each in self._pictures if each is not reader)
            self._sounds = tuple(each for each in self._sounds if each is not reader)
            self._overrun.discard(id(reader))


def samples_of(frame: Any) -> Samples:
    """(n, channels) of an interleaved or planar frame of 16-bit sound."""
    values = frame.to_ndarray()
    if not frame.format.is_planar:
        values = values.reshape(-1, frame.layout.nb_channels).T
    samples: Samples = values.T.astype(np.float32) / np.float32(32_768)
    return samples


def even(size: int) -> int:
    """What encoders can take of it: 4:2:0 colour has half the picture's width and height."""
    return max(2, size & ~1)


class InboundVideo:
    """A browser's camera. Its pictures have the size that the browser sends, which begins low and follows the line.

    A change of it is another scene. ``info`` has the size at the time of opening.
    """

    def __init__(self, inbound: Inbound, fps: Fraction) -> None:
        self._inbound, self._fps = inbound, fps
        self._slot: LatestSlot[tuple[Any, int]] | None = None
        self._seq, self._last_ns = 0, -1
        self._size: Size | None = None
        self._scene = 0
        self._bgr = BrowserToBgr()

    def open(self) -> VideoInfo:
        assert self._inbound.size is not None, "opened after the first picture"
        self._slot = self._inbound.add_pictures()
        width, height = fitted(*self._inbound.size, self._inbound.working_pixels)
        return VideoInfo(even(width), even(height), self._fps, live=True, name="browser camera")

    def read(self) -> Frame:
        assert self._slot is not None
        taken = self._slot.take()
        if taken is None:
            raise EndOfStream
        frame, captured_ns = taken
        self._last_ns = max(captured_ns, self._last_ns + 1)
        self._seq += 1
        image = self._bgr(frame)
        image = np.ascontiguousarray(image[: even(frame.height), : even(frame.width)])
        self._scene += self._size not in (None, (frame.width, frame.height))
        self._size = frame.width, frame.height
        return Frame(image, self._last_ns, self._seq - 1, scene=self._scene)

    def lost(self) -> Lost:
        drops = self._slot.dropped if self._slot is not None else 0
        return Lost(drops=drops, packets=self._inbound.packets_lost["video"])

    def close(self) -> None:
        if self._slot is not None:
            self._inbound.remove(self._slot)
            self._slot.close()


class BrowserToBgr:
    """Turns decoded frames into BGR, full range.

    OpenCV takes the common ones, planes of BT.601: a fifth of the time that swscale needs to keep a picture's
    brightness, for hardly more noise (rms 2.0 levels instead of 1.5).
    """

    def __init__(self) -> None:
        # One of its own: that of the frame is not safe where two runs read the same frame at once.
        self._reformatter = VideoReformatter()

    def __call__(self, frame: av.VideoFrame) -> Image:
        even = frame.width % 2 == frame.height % 2 == 0
        common = frame.format.name == "yuv420p" and frame.color_range != ColorRange.JPEG
        if even and common and frame.colorspace in BT_601:
            return np.asarray(cv2.cvtColor(frame.to_ndarray(), cv2.COLOR_YUV2BGR_I420), np.uint8)
        picture = self._reformatter.reformat(frame, format="bgr24", interpolation=INTERPOLATION, threads=1)
        return np.asarray(picture.to_ndarray(), np.uint8)


class InboundVoice:
    """A browser's microphone at exactly our rate; silence, marked, for what was lost. It may pause."""

    def __init__(self, inbound: Inbound) -> None:
        self._inbound = inbound
        self._sounds: queue.Queue[_Heard] | None = None
        self._pending: deque[AudioBlock] = deque()
        self._closed = threading.Event()

    def open(self) -> VoiceInfo:
        self._corrector = DriftCorrector(RATE, CHANNELS)
        self._sounds = self._inbound.add_sounds()
        late_ns = SOUND_DELAY_NS + NETWORK_NS + self._corrector.delay_ns
        return VoiceInfo(RATE, CHANNELS, live=True, name="browser microphone", block_ns=late_ns)

    def read(self) -> AudioBlock:
        assert self._sounds is not None
        while not self._pending:
            if self._closed.is_set():
                raise EndOfStream
            try:
                heard, captured_ns, lost = self._sounds.get(timeout=WAIT_S)
            except queue.Empty:
                continue
            self._pending += self._stamped(heard, captured_ns, lost)
        return self._pending.popleft()

    def lost(self) -> Lost:
        inbound = self._inbound
        return Lost(overflows=inbound.overflows, slips=self._corrector.slips, packets=inbound.packets_lost["audio"])

    def close(self) -> None:
        self._closed.set()
        if self._sounds is not None:
            self._inbound.remove(self._sounds)

    def _stamped(self, heard: Samples, captured_ns: int, lost: bool) -> list[AudioBlock]:
        """What was lost lies between two instants; where the sound after it seems older, nothing is cut off it."""
        next_ns = self._corrector.next_ns
        before: list[AudioBlock] = []
        if next_ns is not None and captured_ns - next_ns > (LONGEST_LOSS_NS if lost else PAUSE_NS):
            self._corrector.rest()  # the half millisecond that was held would be a click by now
            lost = False
        elif lost and next_ns is not None and captured_ns < next_ns:
            before = self._corrector.rest()
        return before + self._corrector.process(heard, captured_ns, lost)
