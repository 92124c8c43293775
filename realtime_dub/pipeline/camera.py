"""What a camera is asked for where nobody said it: 1280x720 at 30 frames a second where this machine holds that.

Whether it does is measured at the start: a few real mouths on the built-in face of that size. What came of it is kept
for the next start (``camera_kept``).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import islice

from realtime_dub.errors import RealtimeDubError
from realtime_dub.fitting import Size
from realtime_dub.media import MS, NS
from realtime_dub.mouth.contract import MouthGenerator
from realtime_dub.pipeline import assembly
from realtime_dub.pipeline.camera_kept import Kept, ago
from realtime_dub.pipeline.file.pulled import PulledVoice
from realtime_dub.pipeline.file.ticks import FrameComposer, MouthMaker
from realtime_dub.pipeline.schedule import TrackedSample
from realtime_dub.sources.base import read_all
from realtime_dub.sources.demo import DemoSource
from realtime_dub.sources.demo_voice import DemoVoiceSource

SHARE = 0.6  # of a frame's time that a mouth may take: camera, outputs and other programs need the rest, and a core
CORES = 2  # that a live run wants
WARM_UP, COUNTED = 8, 12  # mouths
OUTLIERS = 2  # of those: another program had the core for a moment
MOST_NS = 1_200 * MS  # for all of them; loading comes before it
SPOKEN_NS = 3 * NS  # from there on the built-in voice speaks for three seconds without a break


@dataclass(frozen=True, slots=True)
class CameraMode:
    """What a camera is asked for, and why."""

    width: int
    height: int
    fps: float
    why: str = ""
    smaller: Size | None = None  # asked for where the camera itself is too slow

    def __str__(self) -> str:
        return f"{self.width}x{self.height} at {self.fps:g}"


USUAL = CameraMode(640, 480, 25)
LARGE = CameraMode(1280, 720, 30, smaller=(USUAL.width, USUAL.height))


def choose(
    make: Callable[[], MouthGenerator],
    fps: float | None = None,
    most_ns: int = MOST_NS,
    kept: Kept | None = None,
    anew: bool = False,
) -> CameraMode:
    """``LARGE`` where mouths of ``make`` are quick enough for it, else ``USUAL``; at ``fps`` where that was asked for.

    ``kept``: where the measurement is kept, and taken from if it was made before; ``anew``: only kept.

    Blocking, 1 to 2 s where it is measured: for a worker thread, while nothing else goes on.
    """
    large, usual = (mode if fps is None else replace(mode, fps=fps) for mode in (LARGE, USUAL))
    if cores() < CORES:
        return replace(usual, why=f"{large} wants {CORES} processor cores")
    may_ns = SHARE * NS / large.fps
    if kept is not None and not anew and (found := kept.read(may_ns)) is not None:
        took_ns, age_s = found
        return _by(took_ns, may_ns, large, usual, f", measured {ago(age_s)}")
    try:
        measured_ns = mouth_ns(make, large, most_ns)
    except RealtimeDubError as error:
        return replace(usual, why=f"this machine could not be measured: {error}")
    if measured_ns is None:
        return replace(
            usual, why=f"{large} is too much for this machine: {most_ns / MS:.0f} ms were not enough to tell"
        )
    if kept is not None:
        kept.write(measured_ns)
    return _by(measured_ns, may_ns, large, usual)


def _by(took_ns: float, may_ns: float, large: CameraMode, usual: CameraMode, when: str = "") -> CameraMode:
    told = f"a mouth takes {took_ns / MS:.0f} ms at {large.width}x{large.height}{when}, and may take {may_ns / MS:.0f}"
    return replace(large if took_ns <= may_ns else usual, why=told)


def mouth_ns(make: Callable[[], MouthGenerator], mode: CameraMode, most_ns: int = MOST_NS) -> int | None:
    """What a mouth takes, tracked, made and composed one after another; None where ``most_ns`` were too short."""
    with ExitStack() as stack:
        took_ns = list(islice(_mouths(make, mode, most_ns, stack), WARM_UP + COUNTED))
    if len(took_ns) < WARM_UP + COUNTED:
        return None
    return sorted(took_ns[WARM_UP:])[-1 - OUTLIERS]


def _mouths(make: Callable[[], MouthGenerator], mode: CameraMode, most_ns: int, stack: ExitStack) -> Iterator[int]:
    """How long each took."""
    video, voice = DemoSource(mode.width, mode.height, mode.fps), DemoVoiceSource(loop=True)
    stack.callback(voice.close)
    heard, _ = voice.open(), video.open()
    tracker = assembly.make_tracker("largest", at_once=False)
    stack.callback(tracker.close)
    generator = make()
    stack.callback(generator.close)
    maker = MouthMaker(generator, PulledVoice(voice, heard.rate, heard.channels), SPOKEN_NS)
    composer = FrameComposer(assembly.make_compositor())
    until_ns = time.perf_counter_ns() + most_ns
    for frame in read_all(video.read):
        began_ns = time.perf_counter_ns()
        sample = TrackedSample(tracker.track(replace(frame, pts_ns=SPOKEN_NS + frame.pts_ns)))
        composer.compose(sample, maker.make([sample])[0])
        ended_ns = time.perf_counter_ns()
        if ended_ns > until_ns:
            return
        yield ended_ns - began_ns


def cores() -> int:
    """That this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
