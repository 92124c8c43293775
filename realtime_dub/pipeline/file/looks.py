"""Which of a film's frames an engine is shown before the first mouth, and these, tracked."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from fractions import Fraction
from itertools import count, takewhile

from realtime_dub.config import FileConfig
from realtime_dub.errors import EndOfStream
from realtime_dub.face.types import FaceTracker, TrackedFrame
from realtime_dub.media import NS, Frame, VideoInfo
from realtime_dub.pipeline.file.stages import PrefetchStage
from realtime_dub.sources.base import Jumps, SkipsFrames, VideoSource

_SHOWN_NS = 20 * NS  # of a film, before it is dubbed
_SHOWN_FRAMES = 150
_LEARNT_NS = 60 * NS  # of a film with the person's own voice
_LEARNT_EVERY = 2  # frames
_PIECE_NS, _APART_NS = 10 * NS, 100 * NS  # of what follows, a tenth: looking and learning take as long as dubbing
_PIECE_SHOWN_EVERY = 10  # frames of a piece
_MOST_PIECES = 54  # nine minutes: with the first one as much as anything is learnt from


@dataclass(frozen=True, slots=True)
class Looks:
    """Frames of the first 20 s, one in ``every``.

    With ``learns`` also every second one of the first minute and of ``pieces``, which begin at these times: ten of each
    hundred seconds that follow, in whatever light, and whoever is seen by then. Of films longer than an hour and a half
    they are farther apart.
    """

    every: int
    learns: bool
    pieces: tuple[int, ...] = ()

    @classmethod
    def of(cls, info: VideoInfo, learns: bool, cut_ns: int | None = None) -> Looks:
        """For a film: up to 150 frames evenly. ``cut_ns``: no more of it is dubbed."""
        whole_ns = info.duration_ns
        every = frames_between(info.fps, min(_SHOWN_NS, whole_ns or _SHOWN_NS))
        if not learns or whole_ns is None:
            return cls(every, learns)
        return cls(every, learns, pieces_of(whole_ns if cut_ns is None else min(whole_ns, cut_ns)))

    def at(self, frame: Frame) -> bool:
        """Whether the engine looks at the person in this frame."""
        if frame.pts_ns < _SHOWN_NS:
            return frame.seq % self.every == 0
        return frame.pts_ns >= _LEARNT_NS and frame.seq % _PIECE_SHOWN_EVERY == 0

    @property
    def tunes(self) -> bool:
        """The film is so long that tuning a net to its people takes little of the whole time, and is worth it."""
        return bool(self.pieces)

    @property
    def until_ns(self) -> int:
        """Up to where the film is read, but for the pieces."""
        return _LEARNT_NS if self.learns else _SHOWN_NS

    def frames(self, video: VideoSource, once_more: Callable[[], VideoSource]) -> Iterator[Frame]:
        """These, of an open film; pieces are read from it ``once_more``."""
        first = _until(self.until_ns, _some(video, self._wanted))
        yield from filter(lambda frame: self.at(frame) or (self.learns and _is_learnt(frame.seq)), first)
        if self.pieces:
            with closing(once_more()) as again:
                again.open()
                yield from self._of_pieces(again)

    def _of_pieces(self, video: VideoSource) -> Iterator[Frame]:
        """Each from the nearest key frame before it on; one that has none of its own is left out."""
        end_ns = self.until_ns
        for begins_ns in self.pieces:
            at_ns = video.jump(begins_ns) if isinstance(video, Jumps) else None
            if at_ns is None:
                return
            if at_ns >= end_ns:
                end_ns = at_ns + _PIECE_NS
                yield from _until(end_ns, _some(video, _is_learnt))

    def _wanted(self, seq: int) -> bool:
        return seq % self.every == 0 or (self.learns and _is_learnt(seq))


def pieces_of(duration_ns: int) -> tuple[int, ...]:
    """When the pieces of a film begin that lasts so long."""
    rest_ns = max(0, duration_ns - _LEARNT_NS)
    pieces = min(rest_ns // _APART_NS, _MOST_PIECES)
    apart_ns = rest_ns // max(pieces, 1)
    return tuple(_LEARNT_NS + k * apart_ns + (apart_ns - _PIECE_NS) // 2 for k in range(pieces))


def cut_ns(config: FileConfig) -> int | None:
    """Where a film is to end that need not be dubbed whole."""
    return None if config.seconds is None else round(config.seconds * NS)


def _is_learnt(seq: int) -> bool:
    return seq % _LEARNT_EVERY == 0


def _until(end_ns: int, frames: Iterator[Frame]) -> Iterator[Frame]:
    return takewhile(lambda frame: frame.pts_ns < end_ns, frames)


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
