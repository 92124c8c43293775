"""Which of a film's frames an engine is shown before the first mouth, and these, tracked."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from itertools import count, takewhile

from realtime_dub.errors import EndOfStream
from realtime_dub.face.types import FaceTracker, TrackedFrame
from realtime_dub.media import NS, Frame, VideoInfo
from realtime_dub.pipeline.file.stages import PrefetchStage
from realtime_dub.sources.base import SkipsFrames, VideoSource

_SHOWN_NS = 20 * NS  # of a film, before it is dubbed
_SHOWN_FRAMES = 150
_LEARNT_NS = 60 * NS  # of a film with the person's own voice
_LEARNT_EVERY = 2  # frames


@dataclass(frozen=True, slots=True)
class Looks:
    """Frames of the first 20 s, one in ``every``; with ``learns`` also every second one of the first minute."""

    every: int
    learns: bool

    @classmethod
    def of(cls, info: VideoInfo, learns: bool) -> Looks:
        """For a film: up to 150 frames evenly."""
        return cls(frames_between(info.fps, min(_SHOWN_NS, info.duration_ns or _SHOWN_NS)), learns)

    def at(self, frame: Frame) -> bool:
        """Whether the engine looks at the person in this frame."""
        return frame.seq % self.every == 0 and frame.pts_ns < _SHOWN_NS

    @property
    def until_ns(self) -> int:
        """Up to where the film is read."""
        return _LEARNT_NS if self.learns else _SHOWN_NS

    def frames(self, video: VideoSource) -> Iterator[Frame]:
        """These, of an open film."""
        frames = takewhile(lambda frame: frame.pts_ns < self.until_ns, _some(video, self._wanted))
        return filter(lambda frame: self.at(frame) or (self.learns and frame.seq % _LEARNT_EVERY == 0), frames)

    def _wanted(self, seq: int) -> bool:
        return seq % self.every == 0 or (self.learns and seq % _LEARNT_EVERY == 0)


@contextmanager
def tracked_ahead(frames: Iterator[Frame], tracker: FaceTracker) -> Iterator[Iterator[TrackedFrame]]:
    """Decoded on one thread and tracked on another, while the caller looks at what came before."""
    decoded = PrefetchStage("decode", frames)
    tracked = PrefetchStage("track", (tracker.track(frame) for frame in decoded))
    try:
        yield tracked
    finally:
        for stage in (decoded, tracked):
            stage.stop()
        for stage in (decoded, tracked):
            stage.join()


def _some(video: VideoSource, wanted: Callable[[int], bool]) -> Iterator[Frame]:
    """The frames of an open film whose numbers are ``wanted``."""
    skip = video.skip if isinstance(video, SkipsFrames) else None
    for seq in count():
        try:
            if skip is not None and not wanted(seq):
                skip()
            elif wanted((frame := video.read()).seq):
                yield frame
        except EndOfStream:
            return


def frames_between(fps: Fraction, shown_ns: int) -> int:
    """Every how many frames one is shown."""
    return max(1, math.ceil(fps * shown_ns / NS / _SHOWN_FRAMES))
