"""The live loop at real time: `python -m benchmarks.latency --seconds 60 --size 480p,720p,1080p --fps 30`.

The face moves (moving_face.py), in a film that is decoded on one thread as it is played, which takes about what a
camera's MJPG does; `queued` is what tracker, engine and composer of a tick waited for one another, apart from compute;
`--webcam` plays another film, or `demo`, the portrait before a hand-held camera. Nothing is published but everything is
paced: the figures are those of a run with a virtual camera, less the camera.
With `--overload` the engine takes 60 ms a mouth for 5 s in the middle: the age of what is published must stay within
the budget, the picture must go on, and full quality must be back soon after.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from benchmarks import overload
from benchmarks.moving_face import SIZES, film, size_of, sizes
from benchmarks.output import console, last_line, show
from realtime_dub.config import LiveConfig, build
from realtime_dub.pipeline.live.run import run_live
from realtime_dub.pipeline.statistics import QUEUED, Report

OVERLOAD_S = 5.0
BUDGET_MS = 160.0
TURN = ("off", "on")  # marks


def run(args: argparse.Namespace, webcam: str, size: str, marks: str) -> tuple[Report, list[overload.Left]]:
    if args.overload:
        overload.enter((args.seconds - OVERLOAD_S) / 2, OVERLOAD_S)
    width, height = size_of(size)
    config = build(
        LiveConfig,
        webcam=webcam,
        mic="demo",
        to=("null",),
        loop=True,
        engine=overload.NAME if args.overload else args.engine,
        bundle=args.bundle,
        budget_ms=args.budget_ms if args.budget_ms or args.bundle else BUDGET_MS,
        width=width,
        height=height,
        fps=args.fps,
        seconds=args.seconds,
        marks=marks,
        quiet=True,
    )
    with overload.ticks_watched() as ticks:
        return run_live(config), ticks


def figures(report: Report, fps: float) -> dict[str, float]:
    """What the acceptance of a live run looks at."""
    frames, total = report.frames, max(1, report.frames["total"])
    return {
        "fresh_share": frames["fresh"] / total,
        "fresh_per_s": frames["fresh"] / total * fps,
        "missed": float(total - frames["fresh"]),
        "age_max_ms": report.latency_ms["max"],
        "compute_p95_ms": report.compute_ms["p95"],
        "queued_p95_ms": report.stages_ms[QUEUED]["p95"],
        "av_offset_max_ms": report.av_offset_ms["max"],
        "rss_growth_mb": report.rss_mb["end"] - report.rss_mb["start"],
    }


def measured(args: argparse.Namespace, size: str, marks: str, folder: Path) -> dict[str, object]:
    """The figures of one size, with or without marks; tables on the way."""
    webcam = args.webcam or str(film(folder / f"{size}.mp4", *size_of(size), round(args.fps)))
    report, ticks = run(args, webcam, size, marks)
    console().print(report.table())
    result = figures(report, args.fps)
    show(f"live, {size}, marks {marks}", ("figure", ""), result.items())
    answer: dict[str, object] = {**result, "report": report.as_dict()}
    if args.overload:
        answer["overload"] = hurt = overload.summary(ticks)
        show("overload", ("figure", ""), hurt.items())
    return answer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60, help="of each size")
    parser.add_argument("--budget-ms", type=float, help="160 without it; with --bundle what it needs")
    parser.add_argument("--engine", default="mouthbank")
    parser.add_argument("--bundle", type=Path, help="a folder for --engine; the built-in one without it")
    parser.add_argument("--size", type=sizes, default=["480p"], metavar="SIZE,..", help=f"of {', '.join(SIZES)}")
    parser.add_argument("--webcam", help="another film, or demo, in place of the moving face")
    parser.add_argument("--fps", type=float, default=25)
    parser.add_argument("--overload", action="store_true")
    parser.add_argument("--turns", type=int, default=0, metavar="N", help="each size N times without marks and N with")
    args = parser.parse_args()
    if args.overload and args.seconds < 3 * OVERLOAD_S:
        parser.error(f"--overload needs --seconds {3 * OVERLOAD_S:g} or more: as long again before and after it")
    with tempfile.TemporaryDirectory() as folder:
        runs = [("on", "")] if not args.turns else [(each, f" {each} {n}") for n in range(args.turns) for each in TURN]
        found = {size + name: measured(args, size, marks, Path(folder)) for size in args.size for marks, name in runs}
    last_line({"benchmark": "latency", "seconds": args.seconds, "fps": args.fps, "sizes": found})


if __name__ == "__main__":
    main()
