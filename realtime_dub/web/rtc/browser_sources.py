"""A browser's camera and microphone as sources of a pipeline."""

from __future__ import annotations

import queue
import threading
from collections import deque
from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.video.reformatter import ColorRange, VideoReformatter

from realtime_dub.audio.drift import DriftCorrector
from realtime_dub.errors import EndOfStream
from realtime_dub.fitting import Size
from realtime_dub.flow import LatestSlot
from realtime_dub.i420 import coded_of, image_of
from realtime_dub.losses import Lost
from realtime_dub.media import MS, NS, AudioBlock, Coded, Frame, Image, Samples, VideoInfo, VoiceInfo
from realtime_dub.sources.to_bgr import INTERPOLATION, UNSPECIFIED_MATRIX, merged
from realtime_dub.web.rtc.aiortc_access import AUDIO_DELAY_NS
from realtime_dub.web.rtc.browser_input import NETWORK_NS, RATE, BrowserInput, Heard
from realtime_dub.web.rtc.priority import fitted

CHANNELS = 1
WAIT_S = 0.05
PAUSE_NS = 200 * MS  # a longer hole in the stamps is a pause
LONGEST_LOSS_NS = 2 * NS  # that is filled with silence; longer ones are pauses, too
BT_601 = (UNSPECIFIED_MATRIX, 5, 6)  # AVCOL_SPC_BT470BG, AVCOL_SPC_SMPTE170M; what browsers send without a tag


def even(size: int) -> int:
    """What encoders can take of it: 4:2:0 colour has half the frame's width and height."""
    return max(2, size & ~1)


class BrowserVideo:
    """A browser's camera. Its frames have the size that the browser sends, which begins low and follows the line.

    A change of it is another scene. ``info`` has the size at the time of opening.
    """

    def __init__(self, browser_input: BrowserInput, fps: Fraction) -> None:
        self._input, self._fps = browser_input, fps
        self._slot: LatestSlot[tuple[Any, int]] | None = None
        self._seq, self._last_ns = 0, -1
        self._size: Size | None = None
        self._scene = 0
        self._bgr = BrowserToBgr()

    def open(self) -> VideoInfo:
        assert self._input.size is not None, "opened after the first frame"
        self._slot = self._input.add_frame_reader()
        width, height = fitted(*self._input.size, self._input.most_pixels())
        return VideoInfo(even(width), even(height), self._fps, live=True, name="browser camera")

    def read(self) -> Frame:
        assert self._slot is not None
        taken = self._slot.take()
        if taken is None:
            raise EndOfStream
        frame, captured_ns = taken
        self._last_ns = max(captured_ns, self._last_ns + 1)
        self._seq += 1
        image, coded = self._bgr(frame)
        image = np.ascontiguousarray(image[: even(frame.height), : even(frame.width)])
        self._scene += self._size not in (None, (frame.width, frame.height))
        self._size = frame.width, frame.height
        return Frame(image, self._last_ns, self._seq - 1, scene=self._scene, coded=coded)

    def lost(self) -> Lost:
        drops = self._slot.dropped if self._slot is not None else 0
        return Lost(drops=drops, packets=self._input.packets_lost["video"])

    def close(self) -> None:
        if self._slot is not None:
            self._input.remove(self._slot)
            self._slot.close()


class BrowserToBgr:
    """Turns decoded frames into BGR, full range; of those that may leave as they came, the planes stay beside it.

    OpenCV takes the common ones, planes of BT.601: a fifth of the time that swscale needs to keep a frame's
    brightness, for hardly more noise (rms 2.0 levels instead of 1.5).
    """

    def __init__(self) -> None:
        # One of its own: that of the frame is not safe where two runs read the same frame at once.
        self._reformatter = VideoReformatter()

    def __call__(self, frame: av.VideoFrame) -> tuple[Image, Coded | None]:
        even = frame.width % 2 == frame.height % 2 == 0
        common = frame.format.name == "yuv420p" and frame.color_range != ColorRange.JPEG
        if even and common and frame.colorspace in BT_601:
            planes = np.asarray(frame.to_ndarray(), np.uint8)
            return image_of(planes), coded_of(planes)
        return merged(self._reformatter.reformat(frame, format="gbrp", interpolation=INTERPOLATION, threads=1)), None


class BrowserVoice:
    """A browser's microphone at exactly our rate; silence, marked, for what was lost. It may pause."""

    def __init__(self, browser_input: BrowserInput) -> None:
        self._input = browser_input
        self._queue: queue.Queue[Heard] | None = None
        self._pending: deque[AudioBlock] = deque()
        self._closed = threading.Event()

    def open(self) -> VoiceInfo:
        self._corrector = DriftCorrector(RATE, CHANNELS)
        self._queue = self._input.add_audio_reader()
        late_ns = AUDIO_DELAY_NS + NETWORK_NS + self._corrector.delay_ns
        return VoiceInfo(RATE, CHANNELS, live=True, name="browser microphone", block_ns=late_ns)

    def read(self) -> AudioBlock:
        assert self._queue is not None
        while not self._pending:
            if self._closed.is_set():
                raise EndOfStream
            try:
                heard, captured_ns, lost = self._queue.get(timeout=WAIT_S)
            except queue.Empty:
                continue
            self._pending += self._stamped(heard, captured_ns, lost)
        return self._pending.popleft()

    def lost(self) -> Lost:
        given = self._input
        return Lost(overflows=given.overflows, slips=self._corrector.slips, packets=given.packets_lost["audio"])

    def close(self) -> None:
        self._closed.set()
        if self._queue is not None:
            self._input.remove(self._queue)

    def _stamped(self, heard: Samples, captured_ns: int, lost: bool) -> list[AudioBlock]:
        """What was lost lies between two instants; where the audio after it seems older, nothing is cut off it."""
        next_ns = self._corrector.next_ns
        before: list[AudioBlock] = []
        if next_ns is not None and captured_ns - next_ns > (LONGEST_LOSS_NS if lost else PAUSE_NS):
            self._corrector.rest()  # the half millisecond that was held would be a click by now
            lost = False
        elif lost and next_ns is not None and captured_ns < next_ns:
            before = self._corrector.rest()
        return before + self._corrector.process(heard, captured_ns, lost)
