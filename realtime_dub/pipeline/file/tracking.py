"""A film's frames, decoded and tracked in order: the first two stages of the file loop, wherever they run."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from realtime_dub.config import FileConfig
from realtime_dub.face.types import FaceTracker, TrackedFrame
from realtime_dub.media import NS, Frame
from realtime_dub.sources.base import VideoSource, read_all


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """A frame, and how long the source took for it."""

    frame: Frame
    took_ns: int


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """A tracked frame, and how long the stages took for it."""

    tracked: TrackedFrame
    decode_ns: int
    track_ns: int


def decoded(video: VideoSource, config: FileConfig) -> Iterator[Decoded]:
    """The frames of an open film that ``config`` asks for."""
    frames = _timed(read_all(video.read))
    if config.static:
        frames = _held(frames)
    if config.seconds is None:
        return frames
    end_ns = round(config.seconds * NS)
    return itertools.takewhile(lambda each: each.frame.pts_ns < end_ns, frames)


def tracked(frames: Iterable[Decoded], tracker: FaceTracker) -> Iterator[Seen]:
    for each in frames:
        began_ns = time.perf_counter_ns()
        found = tracker.track(each.frame)
        yield Seen(found, each.took_ns, time.perf_counter_ns() - began_ns)


def _timed(frames: Iterator[Frame]) -> Iterator[Decoded]:
    while True:
        began_ns = time.perf_counter_ns()
        frame = next(frames, None)
        if frame is None:
            return
        yield Decoded(frame, time.perf_counter_ns() - began_ns)


def _held(frames: Iterator[Decoded]) -> Iterator[Decoded]:
    """The first frame in place of all, as a photograph of which nothing moves."""
    first: Frame | None = None
    for each in frames:
        first = first or each.frame
        held = replace(each.frame, image=first.image, coded=first.coded, scene=first.scene, still=True)
        yield Decoded(held, each.took_ns)
