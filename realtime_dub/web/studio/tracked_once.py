"""A picture that is read and tracked once, for all runs that dub it: those of a room's channels, and of those the one
on air and the one that takes over.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from realtime_dub.errors import EndOfStream
from realtime_dub.face.types import FaceTracker, TrackedFrame
from realtime_dub.face.unlooked import Unlooked
from realtime_dub.flow import LatestSlot
from realtime_dub.losses import Lost, lost_by
from realtime_dub.media import Frame, VideoInfo
from realtime_dub.sources.base import VideoSource

KEPT = 8  # frames that a run has taken and may still want to have tracked
END_S = 5.0  # for a thread to end


class TrackedOnce:
    """``video`` and ``tracker`` make what the first run opens and the last one closes. Called from runs."""

    def __init__(self, video: Callable[[], VideoSource], tracker: Callable[[], FaceTracker]) -> None:
        self._video, self._tracker = video, tracker
        self._lock = threading.Lock()
        self._reading: _Reading | None = None
        self._runs = 0

    def for_a_run(self, tracks: bool = True) -> TrackedVideo:
        """A source and a tracker of its own for one more run. ``tracks``: it looks at faces."""
        return TrackedVideo(self, tracks)

    def join(self, slot: LatestSlot[TrackedFrame], tracks: bool) -> _Reading:
        """Frames come into ``slot`` from now on. Raises UserError where there is no picture."""
        with self._lock:
            if self._reading is None or self._reading.is_over:
                self._reading, self._runs = _Reading(self._video(), self._tracker), 0
            self._runs += 1
            self._reading.add(slot, tracks)
            return self._reading

    def leave(self, reading: _Reading, slot: LatestSlot[TrackedFrame]) -> None:
        reading.remove(slot)
        with self._lock:
            if reading is not self._reading:
                return
            self._runs -= 1
            if self._runs:
                return
            self._reading = None
        reading.close()


class _Reading:
    """From the first run to the last: a thread reads, another one tracks the newest frame."""

    def __init__(self, video: VideoSource, tracker: Callable[[], FaceTracker]) -> None:
        self.error: BaseException | None = None
        self.is_over = False
        self._source = video
        self._slots: tuple[LatestSlot[TrackedFrame], ...] = ()
        self._trackers: tuple[LatestSlot[TrackedFrame], ...] = ()  # those of runs that look at faces
        self._lock = threading.Lock()
        self._frames: LatestSlot[Frame] = LatestSlot()
        try:
            self.info: VideoInfo = video.open()
            self._tracker, self._unlooked = tracker(), Unlooked()
        except BaseException:
            video.close()
            raise
        self._threads = [
            threading.Thread(target=work, name=name, daemon=True)
            for work, name in ((self._read, "camera"), (self._track, "tracker"))
        ]
        for thread in self._threads:
            thread.start()

    def add(self, slot: LatestSlot[TrackedFrame], tracks: bool) -> None:
        with self._lock:
            self._slots += (slot,)
            if tracks:
                self._trackers += (slot,)
            if self.is_over:
                slot.close()

    def remove(self, slot: LatestSlot[TrackedFrame]) -> None:
        slot.close()
        with self._lock:
            self._slots = tuple(each for each in self._slots if each is not slot)
            self._trackers = tuple(each for each in self._trackers if each is not slot)

    def lost(self) -> Lost:
        return Lost(drops=self._frames.dropped) + lost_by((self._source,))

    def close(self) -> None:
        self._frames.close()
        self._source.close()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(END_S)
        self._tracker.close()

    def _read(self) -> None:
        try:
            while not self._frames.closed:
                self._frames.put(self._source.read())
        except EndOfStream:
            pass
        except BaseException as error:
            self.error = error
        self._frames.close()

    def _track(self) -> None:
        try:
            while (frame := self._frames.take()) is not None:
                tracked = (self._tracker if self._trackers else self._unlooked).track(frame)
                for slot in self._slots:
                    slot.put(tracked)
        except BaseException as error:
            self.error = error
        with self._lock:
            self.is_over = True
            for slot in self._slots:
                slot.close()


class TrackedVideo:
    """One run's: a video source whose frames its tracker knows already."""

    def __init__(self, shared: TrackedOnce, tracks: bool) -> None:
        self._shared, self._tracks = shared, tracks
        self._slot: LatestSlot[TrackedFrame] = LatestSlot()
        self._reading: _Reading | None = None
        self._taken: deque[TrackedFrame] = deque(maxlen=KEPT)

    def open(self) -> VideoInfo:
        self._reading = self._shared.join(self._slot, self._tracks)
        return self._reading.info

    def read(self) -> Frame:
        reading, tracked = self._reading, self._slot.take()
        if tracked is None:
            raise reading.error if reading is not None and reading.error is not None else EndOfStream
        self._taken.append(tracked)
        return tracked.frame

    def track(self, frame: Frame) -> TrackedFrame:
        """Of a frame that ``read`` gave."""
        return next((each for each in tuple(self._taken) if each.frame is frame), TrackedFrame(frame, None, "no face"))

    def lost(self) -> Lost:
        """Frames that this run was too slow for, or all runs."""
        of_all = self._reading.lost() if self._reading is not None else Lost()
        return Lost(drops=self._slot.dropped) + of_all

    def close(self) -> None:
        reading, self._reading = self._reading, None
        self._slot.close()
        if reading is not None:
            self._shared.leave(reading, self._slot)
