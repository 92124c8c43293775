"""How fast files are dubbed: `python -m benchmarks.files --size 480p,1080p --seconds 60`.

The film is the moving face (moving_face.py) with the built-in voice again and again. It is made first, which does not
count; start-up, enrolment and calibration do, so short films are slower. `speed` is against the film's own time.
`cpu_ms` is the processor time of all threads for a frame: on two cores no more than 2,000 / cpu_ms frames a second can
be made. `mb_per_hour` is how memory grew with each hour of the film, over its second half: a straight line through what
was seen every 250 frames. What a film of 20 minutes needs says what one of two hours does.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from time import perf_counter, process_time

import numpy as np

from benchmarks.media import voice
from benchmarks.moving_face import LOOP_S, SIZES, long_film, size_of, sizes
from benchmarks.output import last_line, show
from realtime_dub.config import FileConfig, build
from realtime_dub.pipeline.file.run import run_file
from realtime_dub.pipeline.measures import rss_mb

SEEN_EVERY = 250  # frames


class Memory:
    """What the process has, as the film goes on."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, float]] = []

    def __call__(self, done: int, total: int | None) -> None:
        if done % SEEN_EVERY == 0:
            self.seen.append((done, rss_mb()))

    def per_hour(self, fps: int) -> float:
        """MB for each hour of the film; 0 of a film that is too short to tell."""
        late = self.seen[len(self.seen) // 2 :]
        if len(late) < 2:
            return 0.0
        frames, mb = np.array(late).T
        return float(np.polyfit(frames / fps / 3600, mb, 1)[0])


def measured(size: str, seconds: float, fps: int, engine: str, folder: Path) -> dict[str, float]:
    """One film from its first byte to the last of the result."""
    source, memory = long_film(folder / f"{size}.mp4", *size_of(size), fps, seconds, voice("demo")), Memory()
    config = build(FileConfig, input=str(source), output=folder / f"{size}-dubbed.mp4", engine=engine)
    began_s, busy_s = perf_counter(), process_time()
    report = run_file(config, memory)
    took_s, busy_s = perf_counter() - began_s, process_time() - busy_s
    frames = report.frames["total"]
    stages = {f"{name}_p50_ms": row["p50"] for name, row in report.stages_ms.items()}
    return {
        "speed": frames / fps / took_s,
        "took_s": took_s,
        "cpu_ms": 1000 * busy_s / frames,
        "fresh_share": report.frames["fresh"] / frames,
        "rss_mb": report.rss_mb["end"],
        "mb_per_hour": memory.per_hour(fps),
        **stages,
    }


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
