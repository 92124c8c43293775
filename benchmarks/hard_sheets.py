"""A picture of faces that are hard to dub: `python -m benchmarks.hard_sheets --data data/grid/people`.

A beard (painted, benchmarks/hard_faces.py), glasses (as filmed), a hand before the mouth (drawn,
benchmarks/occluded.py): above the clip, below it with the voice of the speaker's next clip, before encoding.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np

from benchmarks.hard_faces import painted
from benchmarks.media import frames
from benchmarks.occluded import occluded
from benchmarks.occlusion import dubbed
from benchmarks.occlusion_sheets import tracked
from realtime_dub.face.landmarks import LIPS
from realtime_dub.face.types import TrackedFrame
from realtime_dub.media import Frame, Image

SIDE, ROOM = 200, 2.0  # pixels of a picture, mouth widths to each side of the mouth
PLACES = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7)  # of a clip
SEED = 4  # of the hand

Change = Callable[[Sequence[Frame]], list[Image]]


def _as_filmed(filmed: Sequence[Frame]) -> list[Image]:
    return [each.image for each in filmed]


def _with_a_beard(filmed: Sequence[Frame]) -> list[Image]:
    return painted(_as_filmed(filmed), "beard", [each.pts_ns for each in filmed])


def _behind_a_hand(filmed: Sequence[Frame]) -> list[Image]:
    return occluded(_seen(filmed), "hand", SEED).images


FACES: dict[str, tuple[str, Change]] = {  # whose, and what is done to them
    "beard": ("s02", _with_a_beard),
    "glasses": ("s05", _as_filmed),
    "hand": ("s33", _behind_a_hand),
}


def pair(clip: Path, sound: Path, change: Change) -> Image:
    """Two rows: some frames of a clip, and the same ones dubbed."""
    filmed = list(frames(str(clip)))
    images, seen = change(filmed), _seen(filmed)
    result = dubbed(images, [each.pts_ns for each in filmed], sound)
    places = [round(at * (len(result) - 1)) for at in PLACES]
    return np.concatenate(
        [np.concatenate([_cut(seen[k], pictures[k]) for k in places], 1) for pictures in (images, result)]
    )


def _seen(filmed: Sequence[Frame]) -> list[TrackedFrame]:
    return tracked(_as_filmed(filmed), [each.pts_ns for each in filmed])


def _cut(seen: TrackedFrame, image: Image) -> Image:
    """The face; ``seen`` is the frame with nothing before it."""
    assert seen.face is not None
    x, y = seen.face.points[LIPS, :2].mean(0)
    half = ROOM * seen.face.pose.scale
    box = np.rint([x - half, y - 1.4 * half, x + half, y + 0.6 * half]).astype(int)
    low, high = np.maximum(box[:2], 0), box[2:]
    return np.asarray(cv2.resize(image[low[1] : high[1], low[0] : high[0]], (SIDE, SIDE), interpolation=cv2.INTER_AREA))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("data/grid/people"))
    parser.add_argument("--faces", nargs="*", default=list(FACES), choices=list(FACES))
    parser.add_argument("-o", "--output", type=Path, required=True)
    args = parser.parse_args()
    pairs = []
    for speaker, change in (FACES[name] for name in args.faces):
        clip, following = sorted(args.data.rglob(f"{speaker}_*.mp4"))[:2]
        pairs.append(pair(clip, following, change))
    args.output.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(args.output), np.concatenate(pairs))


if __name__ == "__main__":
    main()
