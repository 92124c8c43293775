"""What each stage costs by itself, one picture at a time: `python -m benchmarks.stages`.

Nothing runs beside the stage that is measured, so these are the floor; benchmarks/latency.py has the stages at work.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
from fractions import Fraction
from pathlib import Path

import numpy as np

from benchmarks.media import frames, voice
from benchmarks.output import Stopwatch, last_line, show
from realtime_dub.blend.composite import Compositor
from realtime_dub.face.tracker import MediaPipeTracker
from realtime_dub.face.types import TrackedFrame
from realtime_dub.media import NS, AudioBlock, Floats, Frame, Image, OutputFormat, Tick, ns_to_samples, samples_to_ns
from realtime_dub.mouth import registry
from realtime_dub.mouth.contract import VOICE_RATE, MouthGenerator
from realtime_dub.publishers.base import Publisher
from realtime_dub.publishers.registry import open_publisher

CHUNK = VOICE_RATE // 50  # samples, 20 ms: what a sound device gives at a time
OBSERVE_EVERY = 3  # frames, as the live loop does
WARM_UP = 10  # frames not counted: first runs load libraries and fill caches


class Rig:
    """Every stage of one stream, called in turn on one thread."""

    def __init__(self, engine: str, sound: Floats, target: Publisher) -> None:
        self._tracker = MediaPipeTracker()
        self._generator: MouthGenerator = registry.create(engine)
        self._compositor, self._publisher, self._sound = Compositor(), target, sound
        self._heard = 0

    def step(self, frame: Frame, watch: Stopwatch) -> None:
        """Take one frame all the way."""
        with watch("track: face mesh"):
            tracked = self._tracker.track(frame)
        while self._generator.heard_until_ns() < frame.pts_ns:
            self._hear(watch)
        if frame.seq % OBSERVE_EVERY == 0 and tracked.face is not None:
            with watch("observe: bank, every third frame"):
                self._generator.observe(tracked)
        image = self._compose(tracked, watch)
        with watch("encode: H.264"):
            self._publisher.publish(Tick(image, frame.pts_ns, frame.duration_ns, frame.seq, self._audio(frame)))

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
        with watch("generate: warp, paste"):
            patch = self._generator.generate(tracked, tracked.frame.pts_ns)
        if patch is None:
            return tracked.frame.image
        with watch("compose: blend"):
            return self._compositor.compose(tracked, patch, 1.0)

    def _audio(self, frame: Frame) -> AudioBlock:
        first = ns_to_samples(frame.pts_ns, VOICE_RATE)
        last = ns_to_samples(frame.pts_ns + frame.duration_ns, VOICE_RATE)
        at = np.arange(first, last) % len(self._sound)
        return AudioBlock(self._sound[at, None], VOICE_RATE, samples_to_ns(first, VOICE_RATE))


def measure(engine: str, count: int, width: int, height: int, fps: int) -> dict[str, dict[str, float]]:
    with tempfile.TemporaryDirectory() as folder:
        publisher = open_publisher(str(Path(folder) / "out.mp4"))
        publisher.open(OutputFormat(width, height, Fraction(fps), VOICE_RATE, 1, live=True))
        rig = Rig(engine, voice("demo"), publisher)
        watch, ignored = Stopwatch(), Stopwatch()
        try:
            for frame in itertools.islice(frames("demo", width, height, fps), WARM_UP + count):
                rig.step(frame, watch if frame.seq >= WARM_UP else ignored)
        finally:
            rig.close()
    return watch.summary()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", default="mouthbank")
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--width", type=int, default=640)
    parser.add_argument("--height", type=int, default=480)
    parser.add_argument("--fps", type=int, default=25)
    args = parser.parse_args()
    stages = measure(args.engine, args.frames, args.width, args.height, args.fps)
    rows = [(name, row["n"], *(row[key] for key in ("p50", "p95", "p99", "max"))) for name, row in stages.items()]
    title = f"{args.engine}, {args.width}x{args.height}, one frame every {NS // args.fps // 1_000_000} ms"
    show(title, ("stage, ms", "n", "p50", "p95", "p99", "max"), rows)
    last_line({"benchmark": "stages", **vars(args), "stages_ms": stages})


if __name__ == "__main__":
    main()
