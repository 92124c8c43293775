"""What each stage costs by itself, one frame at a time: `python -m benchmarks.stages --size 480p,720p,1080p,2160p`.

Nothing runs beside the stage that is measured, so these are the floor; benchmarks/latency.py has the stages at work.
The face moves and fills the same share of the frame at every size (moving_face.py). Sizes take turns, a second each, so
that a busy spell of the machine falls on all of them. `--chart FILE` draws processor time against pixels.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from fractions import Fraction
from itertools import islice
from pathlib import Path

import numpy as np

from benchmarks.charts import Line, chart
from benchmarks.media import voice
from benchmarks.moving_face import SIZES, MovingFace, size_of, sizes, sound_under
from benchmarks.output import Stopwatch, last_line, show
from realtime_dub.blend.composite import Compositor
from realtime_dub.face.tracker import MediaPipeTracker
from realtime_dub.face.types import TrackedFrame
from realtime_dub.media import NS, Floats, Frame, Image, OutputFormat, Tick, samples_to_ns
from realtime_dub.mouth import registry
from realtime_dub.mouth.contract import VOICE_RATE, MouthGenerator
from realtime_dub.pipeline.process import large_pages, one_thread_each
from realtime_dub.publishers.base import Publisher
from realtime_dub.publishers.registry import open_publisher

CHUNK = VOICE_RATE // 50  # samples, 20 ms: what a sound device gives at a time
OBSERVE_EVERY = 3  # frames, as the live loop does
WARM_UP = 30  # frames not counted: first runs load libraries and fill caches, and the bank begins empty
COMPUTE = "compute: track, hear, generate, compose"
TRACK, GENERATE, COMPOSE = "track: face mesh", "generate: warp, paste", "compose: blend"
DRAWN = (COMPUTE, TRACK, GENERATE, COMPOSE)

Stages = dict[str, dict[str, float]]


class Rig:
    """Every stage of one stream, called in turn on one thread."""

    def __init__(self, engine: str, sound: Floats, target: Publisher) -> None:
        self._tracker = MediaPipeTracker()
        self._generator: MouthGenerator = registry.create(engine)
        self._compositor, self._publisher, self._sound = Compositor(), target, sound
        self._heard = 0

    def step(self, frame: Frame, watch: Stopwatch) -> None:
        """Take one frame all the way."""
        with watch(COMPUTE):
            with watch(TRACK):
                tracked = self._tracker.track(frame)
            while self._generator.heard_until_ns() < frame.pts_ns:
                self._hear(watch)
            image = self._compose(tracked, watch)
        if frame.seq % OBSERVE_EVERY == 0 and tracked.face is not None:
            with watch("observe: bank, every third frame"):
                self._generator.observe(tracked)
        with watch("encode: H.264"):
            audio = sound_under(frame, self._sound)
            self._publisher.publish(Tick(image, frame.pts_ns, frame.duration_ns, frame.seq, audio))

    def close(self) -> None:
        self._tracker.close()
        self._generator.close()
        self._publisher.close()

    def _hear(self, watch: Stopwatch) -> None:
        at = np.arange(self._heard, self._heard + CHUNK) % len(self._sound)
        with watch("hear: mel, motion net, per 20 ms"):
            self._generator.hear(self._sound[at], samples_to_ns(self._heard, VOICE_RATE))
        self._heard += CHUNK

    def _compose(self, tracked: TrackedFrame, watch: Stopwatch) -> Image:
        with watch(GENERATE):
            patch = self._generator.generate(tracked, tracked.frame.pts_ns)
        if patch is None:
            return tracked.frame.image
        with watch(COMPOSE):
            return self._compositor.compose(tracked, patch, 1.0)


class Run:
    """One size, measured a stretch at a time."""

    def __init__(self, engine: str, size: str, fps: int, folder: Path) -> None:
        width, height = size_of(size)
        publisher = open_publisher(str(folder / f"{size}.mp4"))
        publisher.open(OutputFormat(width, height, Fraction(fps), VOICE_RATE, 1, live=True))
        self._rig, self._frames = Rig(engine, voice("demo"), publisher), iter(MovingFace(width, height, fps))
        self.watch = Stopwatch()
        self._take(WARM_UP, Stopwatch())

    def go_on(self, count: int) -> None:
        self._take(count, self.watch)

    def _take(self, count: int, watch: Stopwatch) -> None:
        for frame in islice(self._frames, count):
            self._rig.step(frame, watch)

    def close(self) -> None:
        self._rig.close()


def measure(engine: str, count: int, names: Sequence[str], fps: int) -> dict[str, Stages]:
    """Per size what each stage takes, over ``count`` frames."""
    with tempfile.TemporaryDirectory() as folder, one_thread_each():
        runs = {name: Run(engine, name, fps, Path(folder)) for name in names}
        large_pages()  # as a live run
        try:
            for at in range(0, count, fps):
                for run in runs.values():
                    run.go_on(min(fps, count - at))
        finally:
            for run in runs.values():
                run.close()
    return {name: run.watch.summary() for name, run in runs.items()}


def ratios(found: dict[str, Stages]) -> dict[str, dict[str, float]]:
    """Processor time of what a mouth needs, against the first size."""
    first = next(iter(found.values()))
    return {
        size: {name: stages[name]["cpu"] / first[name]["cpu"] for name in DRAWN if name in stages and name in first}
        for size, stages in found.items()
    }


def draw(path: Path, found: dict[str, Stages]) -> None:
    """Milliseconds against millions of pixels."""
    pixels = tuple(SIZES[size][0] * SIZES[size][1] / 1e6 for size in found)
    lines = [
        Line(name.partition(":")[0], pixels, tuple(stages[name]["cpu"] for stages in found.values())) for name in DRAWN
    ]
    chart(path, "Processor time of a frame", "frame, million pixels", "ms", lines)


def table(engine: str, size: str, fps: int, stages: Stages) -> None:
    rows = [
        (name, row["n"], *(row[key] for key in ("cpu", "cpu95", "p50", "p95", "p99", "max")))
        for name, row in stages.items()
    ]
    title = f"{engine}, {size}, one frame every {NS // fps // 1_000_000} ms"
    show(title, ("stage, ms", "n", "cpu p50", "cpu p95", "p50", "p95", "p99", "max"), rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", default="mouthbank")
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--size", type=sizes, default=["480p"], metavar="SIZE,..", help=f"of {', '.join(SIZES)}")
    parser.add_argument("--fps", type=int, default=25)
    parser.add_argument("--chart", type=Path, help="an SVG file: processor time against pixels")
    args = parser.parse_args()
    found = measure(args.engine, args.frames, args.size, args.fps)
    for size, stages in found.items():
        table(args.engine, size, args.fps, stages)
    times = ratios(found)
    show(
        f"processor time, {args.size[0]} = 1", ("size", *DRAWN), [(size, *row.values()) for size, row in times.items()]
    )
    if args.chart:
        draw(args.chart, found)
    told = {"engine": args.engine, "frames": args.frames, "fps": args.fps}
    last_line({"benchmark": "stages", **told, "stages_ms": found, "ratios": times})


if __name__ == "__main__":
    main()
