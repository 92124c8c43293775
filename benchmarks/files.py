"""How fast files are dubbed: `python -m benchmarks.files --size 480p,1080p --seconds 60`.

The film is the moving face (moving_face.py) with the built-in voice again and again. It is made first, by another
process, which does not count. `speed` is against the film's own time, with all that is done before the first mouth
(`start_s`: loading, enrolment, calibration), which takes the same time for any film from 20 s on; `steady_speed` is
that of all that follows, as a long film comes near to it. `cpu_ms` is the processor time of all threads and processes
for a frame, `steady_cpu_ms` that after the start: on two cores no more than 2,000 / cpu_ms frames a second can
be made. `mb_per_hour` is how memory grew with each hour of the film, over its second half: a straight line through what
was seen every 250 frames. What a film of 20 minutes needs says what one of two hours does.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter, process_time

import numpy as np

from benchmarks import usage
from benchmarks.media import voice
from benchmarks.moving_face import LOOP_S, SIZES, long_film, size_of, sizes
from benchmarks.output import last_line, show
from realtime_dub.config import FileConfig, build
from realtime_dub.pipeline.file.run import run_file

SEEN_EVERY = 250  # frames
ENDS = 50  # frames before the end, when the process that decodes may be gone


class Watch:
    """What the run has taken, as the film goes on."""

    def __init__(self) -> None:
        self._began = perf_counter(), processor_s()
        self.first = self._began
        self.seen: list[tuple[int, float]] = []  # frames, MB

    def __call__(self, done: int, total: int | None) -> None:
        if done == 1:
            self.first = perf_counter(), processor_s()
        if done % SEEN_EVERY == 0 and (total is None or done <= total - ENDS):
            self.seen.append((done, usage.with_children(os.getpid()).rss_mb))

    def figures(self, frames: int, fps: int) -> dict[str, float]:
        """When the run is over."""
        (began_s, before_s), (first_s, busy_s) = self._began, self.first
        over_s, after_s = perf_counter(), processor_s()
        return {
            "speed": frames / fps / (over_s - began_s),
            "took_s": over_s - began_s,
            "cpu_ms": 1000 * (after_s - before_s) / frames,
            "start_s": first_s - began_s,
            "start_cpu_s": busy_s - before_s,
            "steady_speed": (frames - 1) / fps / (over_s - first_s),
            "steady_cpu_ms": 1000 * (after_s - busy_s) / (frames - 1),
            "rss_mb": max((mb for _, mb in self.seen), default=0.0),
            "mb_per_hour": self._mb_per_hour(fps),
        }

    def _mb_per_hour(self, fps: int) -> float:
        """0 of a film that is too short to tell."""
        late = self.seen[len(self.seen) // 2 :]
        if len(late) < 2:
            return 0.0
        frames, mb = np.array(late).T
        return float(np.polyfit(frames / fps / 3600, mb, 1)[0])


def processor_s() -> float:
    """Of this process, of those that it has begun, and of those that it has waited for."""
    waited = resource.getrusage(resource.RUSAGE_CHILDREN)
    begun = usage.with_children(os.getpid()).cpu_s - usage.of(os.getpid()).cpu_s
    return process_time() + begun + waited.ru_utime + waited.ru_stime


def made(path: Path, size: str, seconds: float, fps: int) -> None:
    """The film: by a process that tracks a face for it, which this one is not to have done."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as other:
        other.submit(_made, path, size, seconds, fps).result()


def _made(path: Path, size: str, seconds: float, fps: int) -> None:
    long_film(path, *size_of(size), fps, seconds, voice("demo"))


def measured(size: str, seconds: float, fps: int, engine: str, folder: Path) -> dict[str, float]:
    """One film from its first byte to the last of the result."""
    source = folder / f"{size}.mp4"
    made(source, size, seconds, fps)
    config = build(FileConfig, input=str(source), output=folder / f"{size}-dubbed.mp4", engine=engine)
    watch = Watch()
    report = run_file(config, watch)
    frames = report.frames["total"]
    stages = {f"{name}_p50_ms": row["p50"] for name, row in report.stages_ms.items()}
    return {**watch.figures(frames, fps), "fresh_share": report.frames["fresh"] / frames, **stages}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=sizes, default=["480p"], metavar="SIZE,..", help=f"of {', '.join(SIZES)}")
    parser.add_argument("--seconds", type=float, default=15 * LOOP_S, help="of each film")
    parser.add_argument("--fps", type=int, default=25)
    parser.add_argument("--engine", default="mouthbank")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = {size: measured(size, args.seconds, args.fps, args.engine, Path(folder)) for size in args.size}
    for size, figures in found.items():
        show(f"file, {size}, {args.seconds:g} s", ("figure", ""), figures.items())
    last_line({"benchmark": "files", "seconds": args.seconds, "fps": args.fps, "sizes": found})


if __name__ == "__main__":
    main()
