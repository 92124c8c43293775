"""How soon a thing is found that comes before a mouth long free: `python -m benchmarks.arrivals --data data/people`.

Into each clip things are drawn that come a second after its beginning, at once or slowly, and stay (occluded.py). What
the program finds is compared with what it finds if its net is asked in every frame: by how many frames it finds a thing
later, and what of the thing's pixels in the lower face stay live. Looks fall on other frames each time: each clip is
begun at four frames in turn. On the clips as they are it is counted how often the net is asked once it is calm.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from benchmarks.hard_faces import FACES, painted
from benchmarks.media import frames
from benchmarks.occluded import Occluded, occluded
from benchmarks.occlusion_sheets import tracked
from benchmarks.output import last_line, show
from benchmarks.quality import chosen
from engines.mouthbank.occlusion.things import THINGS
from realtime_dub.face.types import TrackedFrame
from realtime_dub.inference.contract import Session
from realtime_dub.media import MS
from realtime_dub.mouth.mouthbank import occlusion as occlusions
from realtime_dub.mouth.mouthbank.occlusion import CALM_NS, Occlusion
from realtime_dub.mouth.mouthbank.occlusion_view import SIZE, outlines, view_of

KINDS = ("hand", "cup", "microphone", "rod", "mask", "subtitle")
COMES_NS = CALM_NS + 200 * MS  # after the clip's beginning
STARTS = 4  # frames at which a clip is begun
TIMES_MS = (0, 200, 400, 1000)  # that a thing takes to come


class Counted:
    """A net, and how often it was asked."""

    def __init__(self, session: Session) -> None:
        self.session, self.calls = session, 0

    def run(self, feeds: Mapping[str, npt.NDArray[np.float32]]) -> dict[str, npt.NDArray[np.float32]]:
        self.calls += 1
        return dict(self.session.run(feeds))


@dataclass
class Found:
    """What was found in one clip with a thing: frames, and pixels of the crops of all frames."""

    first: int  # the first frame; how many there are where it was never found
    kept: int  # of the thing, in the lower face, that stay live
    thing: int
    false: int  # of the face that are taken for covered
    face: int


Film = tuple[list[Found], list[Found]]  # from each start with the net asked in every frame, and as it is


@contextmanager
def every_frame() -> Iterator[None]:
    """The net is asked in every frame."""
    calm, occlusions.CALM_NS = occlusions.CALM_NS, 1 << 62
    try:
        yield
    finally:
        occlusions.CALM_NS = calm


def asked(seen: Sequence[TrackedFrame]) -> tuple[int, int]:
    """In how many frames the net was asked once nothing had been there for long, and how many those are."""
    occlusion = Occlusion()
    occlusion._session = counted = Counted(occlusion._session)  # type: ignore[assignment]
    asked_before, calm = 0, [each for each in seen if each.frame.pts_ns - seen[0].frame.pts_ns > CALM_NS]
    for each in seen:
        if each is calm[0]:
            asked_before = counted.calls
        occlusion.look(each)
    return counted.calls - asked_before, len(calm)


def found(seen: Sequence[TrackedFrame], made: Occluded, start: int) -> Found:
    """What is found in the frames of ``made`` from ``start`` on, as the tracker sees them."""
    occlusion, total = Occlusion(), Found(len(seen), 0, 0, 0, 0)
    for k, each in enumerate(seen[start:], start):
        if each.face is None:
            continue
        cover, crop = occlusion.look(each), view_of(each.face)
        share = cv2.warpAffine(made.shares[k], crop.matrix, (SIZE, SIZE))
        lower = outlines(each.face.points, each.face.pose.scale, crop)[0] > 127
        covered = np.zeros((SIZE, SIZE), bool) if cover.share is None else cover.share > 0.5
        if covered.any():
            total.first = min(total.first, k)
        thing, free = lower & (share > 0.98), lower & (share < 0.02)
        live = covered | (cover.weight == 0)
        total.kept, total.thing = total.kept + int((live & thing).sum()), total.thing + int(thing.sum())
        total.false, total.face = total.false + int((covered & free).sum()), total.face + int(free.sum())
    return total


def far(k: int, count: int, comes: int, takes: int) -> float:
    """1 before a thing comes, 0 from when it is there."""
    return float(np.clip(1 - (k - comes) / takes, 0, 1)) if takes else float(k < comes)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("data/people"))
    parser.add_argument("--of-each", type=int, default=2, help="clips of each speaker")
    parser.add_argument("--kinds", nargs="*", default=KINDS, choices=tuple(THINGS), help="what comes")
    parser.add_argument("--face", default="", choices=("", *FACES), help="make each face a hard one")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def main() -> None:
    args = arguments()
    clean, films, late = [0, 0], defaultdict[str, list[Film]](list), defaultdict[str, list[int]](list)
    for number, clip in enumerate(chosen(args.data, "test", None, args.of_each)):
        filmed = list(frames(str(clip)))
        times_ns = [frame.pts_ns for frame in filmed]
        images = [frame.image for frame in filmed]
        seen = tracked(painted(images, args.face, times_ns) if args.face else images, times_ns)
        if any(each.face is None for each in seen):
            continue
        calls, calm = asked(seen)
        clean = [clean[0] + calls, clean[1] + calm]
        for turn, kind in enumerate(args.kinds):
            takes_ns = TIMES_MS[(number + turn) % len(TIMES_MS)] * MS
            comes, there = (int(np.searchsorted(times_ns, at_ns)) for at_ns in (COMES_NS, COMES_NS + takes_ns))
            made = occluded(seen, kind, args.seed + number, partial(far, comes=comes, takes=there - comes))
            shown = tracked(made.images, times_ns)
            with every_frame():
                best = [found(shown, made, start) for start in range(STARTS)]
            runs = [found(shown, made, start) for start in range(STARTS)]
            films[kind].append((best, runs))
            late[kind] += [now.first - least.first for now, least in zip(runs, best, strict=True)]
    report(clean, films, late)


def _shares(films: Sequence[Film]) -> dict[str, float]:
    """Of the thing's pixels those that stay live, of the face's those that are taken for covered."""
    shares = {}
    for place, name in enumerate(("every", "now")):
        of = [each for film in films for each in film[place]]
        shares[f"kept_{name}"] = sum(each.kept for each in of) / max(1, sum(each.thing for each in of))
        shares[f"false_{name}"] = sum(each.false for each in of) / max(1, sum(each.face for each in of))
    return shares


def report(clean: Sequence[int], films: Mapping[str, list[Film]], late: Mapping[str, list[int]]) -> None:
    every = {**films, "all": [film for of in films.values() for film in of]}
    lates = {**late, "all": [each for of in late.values() for each in of]}
    shares = {kind: _shares(of) for kind, of in every.items()}
    show(
        "frames later than with the net asked in every frame; pixels of the thing that stay live; of the face, covered",
        ("thing", "films", "mean", "95 %", "most", "thing, every frame", "now", "face, every frame", "now"),
        [
            (
                kind,
                len(every[kind]),
                f"{np.mean(of):.2f}",
                int(np.percentile(of, 95)),
                max(of),
                *(
                    f"{100 * shares[kind][name]:.2f} %"
                    for name in ("kept_every", "kept_now", "false_every", "false_now")
                ),
            )
            for kind, of in lates.items()
        ],
    )
    calls, calm = clean
    show("nothing before the mouth", ("frames", "net asked"), [(calm, f"{100 * calls / max(1, calm):.1f} %")])
    late_mean = {kind: float(np.mean(of)) for kind, of in lates.items()}
    last_line({"benchmark": "arrivals", "asked": calls / max(1, calm), "late": late_mean, **shares})


if __name__ == "__main__":
    main()
