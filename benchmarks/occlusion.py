"""What stands before a mouth, and whether it stays there: `python -m benchmarks.occlusion --data data/grid/others`.

Each clip is dubbed with its speaker's next clip's voice, once as it is and once with something drawn before the mouth
(benchmarks/occluded.py), before encoding. Of the thing's pixels in the lower face those count as unchanged that are
within 2 levels of the source; `without` is the same with the mask left out. On the clips as they are, and with painted
beards and moustaches, everything that is found is false. `--sheets` draws source, mask and result of each kind.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter_ns

import numpy as np

from benchmarks.capture import captured
from benchmarks.hard_faces import painted, write_lossless
from benchmarks.media import frames
from benchmarks.occluded import Occluded, occluded
from benchmarks.occlusion_sheets import rows, tracked, turning, write
from benchmarks.output import last_line, percentiles, show
from benchmarks.quality import chosen, next_of_speaker
from engines.mouthbank.occlusion.things import THINGS
from realtime_dub.blend.masks import lower_face, polygon
from realtime_dub.config import FileConfig, build
from realtime_dub.face.types import TrackedFrame
from realtime_dub.media import MS, Image
from realtime_dub.mouth.mouthbank.occlusion import Cover, Occlusion
from realtime_dub.mouth.mouthbank.occlusion_view import outlines, view_of
from realtime_dub.pipeline.file.run import run_file

SAME = 2  # levels
KINDS = ("hand", "cup", "microphone", "rod", "mask", "subtitle")
FACES = ("", "beard", "moustache")


def false_shares(seen: Sequence[TrackedFrame], took_ms: list[float]) -> tuple[int, int, int]:
    """Mouth pixels that are taken for covered, all mouth pixels, frames whose mouth was faded."""
    occlusion, false, pixels, faded = Occlusion(), 0, 0, 0
    for each in seen:
        if each.face is None:
            continue
        start_ns = perf_counter_ns()
        cover = occlusion.look(each)
        took_ms.append((perf_counter_ns() - start_ns) / MS)
        mouth = outlines(each.face.points, each.face.pose.scale, view_of(each.face))[1] > 127
        pixels += int(mouth.sum())
        false += 0 if cover.share is None else int((cover.share[mouth] > 0.5).sum())
        faded += cover.weight < 1
    return false, pixels, faded


@contextmanager
def blind() -> Iterator[None]:
    """Nothing is seen before any face."""
    look = Occlusion.look
    Occlusion.look = lambda self, tracked, idle=False: Cover()  # type: ignore[method-assign]
    try:
        yield
    finally:
        Occlusion.look = look  # type: ignore[method-assign]


def dubbed(images: Sequence[Image], times_ns: Sequence[int], sound: Path) -> list[Image]:
    """The clip with another voice."""
    with tempfile.TemporaryDirectory() as folder, captured() as result:
        video = write_lossless(images, Path(folder) / "clip.mkv", times_ns)
        run_file(
            build(FileConfig, input=str(video), mic=str(sound), output=Path("captured.mp4"), badge="off", quiet=True)
        )
        return list(result)


def unchanged(seen: Sequence[TrackedFrame], made: Occluded, result: Sequence[Image]) -> tuple[int, int, int, int]:
    """The thing's pixels in the lower face that stayed, all of these, other pixels there that changed, and frames."""
    stayed, covered, changed, frames_changed = 0, 0, 0, 0
    for each, image, share, out in zip(seen, made.images, made.shares, result, strict=False):
        assert each.face is not None
        height, width = share.shape
        lower = polygon(lower_face(each.face.points, each.face.pose.scale), (0, 0, width, height)) > 127
        same = np.abs(out.astype(np.int16) - image).max(-1) <= SAME
        thing = lower & (share > 0.98)
        stayed, covered = stayed + int((same & thing).sum()), covered + int(thing.sum())
        elsewhere = int((~same & lower & (share < 0.02)).sum())
        changed, frames_changed = changed + elsewhere, frames_changed + (elsewhere > 0)
    return stayed, covered, changed, frames_changed


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("data/grid/others"))
    parser.add_argument("--clips", type=int, help="at most so many")
    parser.add_argument("--each", type=int, default=2, help="kinds of things before each clip's mouth, in turn")
    parser.add_argument(
        "--faces", nargs="*", default=FACES, choices=FACES, help="with nothing before them; '' as filmed"
    )
    parser.add_argument("--kinds", nargs="*", default=KINDS, choices=tuple(THINGS), help="what is put before it")
    parser.add_argument("--without", action="store_true", help="measure without the mask too")
    parser.add_argument("--sheets", type=Path, help="folder for the pictures")
    return parser.parse_args()


def main() -> None:
    args = arguments()
    clips = chosen(args.data, "test", args.clips)
    clean: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    things: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0, 0])
    blinded: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    took_ms: list[float] = []
    for number, (clip, sound) in enumerate(zip(clips, next_of_speaker(clips, args.data), strict=True)):
        filmed = list(frames(str(clip)))
        images, times_ns = [frame.image for frame in filmed], [frame.pts_ns for frame in filmed]
        seen = tracked(images, times_ns)
        for face in args.faces:
            other = tracked(painted(images, face, times_ns), times_ns) if face else seen
            _add(clean[face or "as filmed"], [*false_shares(other, took_ms), len(other)])
        if any(each.face is None for each in seen):
            continue
        for turn in range(args.each):
            kind = args.kinds[(number * args.each + turn) % len(args.kinds)]
            made = occluded(seen, kind, number)
            result = dubbed(made.images, times_ns, sound)
            _add(things[kind], [*unchanged(seen, made, result), len(seen)])
            if args.without:
                with blind():
                    _add(blinded[kind], list(unchanged(seen, made, dubbed(made.images, times_ns, sound))[:2]))
            if args.sheets:
                write(args.sheets / f"{kind}-{clip.stem}.png", rows(seen, made, result, times_ns))
    if args.sheets:
        write(args.sheets / "turned.png", turning())
    report(clean, things, blinded, took_ms)


def _add(total: list[int], more: Sequence[int]) -> None:
    for place, value in enumerate(more):
        total[place] += value


def report(
    clean: dict[str, list[int]], things: dict[str, list[int]], blinded: dict[str, list[int]], took_ms: list[float]
) -> None:
    false = {name: row[0] / max(1, row[1]) for name, row in clean.items()}
    kept = {name: row[0] / max(1, row[1]) for name, row in things.items()}
    before = {name: row[0] / max(1, row[1]) for name, row in blinded.items()}
    show(
        "nothing before the mouth",
        ("face", "mouth pixels taken for covered", "frames faded", "frames"),
        [(name, f"{100 * false[name]:.3f} %", row[2], row[3]) for name, row in clean.items()],
    )
    show(
        "something before the mouth",
        ("thing", "of its pixels unchanged", "without the mask", "frames dubbed beside it", "frames"),
        [
            (name, f"{100 * kept[name]:.2f} %", f"{100 * before[name]:.2f} %" if name in before else "", row[3], row[4])
            for name, row in things.items()
        ],
    )
    total = [sum(row[place] for row in things.values()) for place in range(2)]
    last_line(
        {
            "benchmark": "occlusion",
            "false": false,
            "unchanged": kept,
            "unchanged_all": total[0] / max(1, total[1]),
            "without": before,
            "frames_dubbed": {name: row[3] for name, row in things.items()},
            "frames": {name: row[4] for name, row in things.items()},
            "look_ms": percentiles(took_ms) if took_ms else None,
        }
    )


if __name__ == "__main__":
    main()
