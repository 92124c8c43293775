"""Whether two versions draw the same mouths: `python -m benchmarks.same_mouths before.mp4 now.mp4`.

Both are one film, dubbed by the file command. The face is found in the first. Of each frame the mouth's box is compared
by structural similarity of the grey pixels (mouth_pixels.py), as both were encoded. `--sheet FILE` shows the mouths
that are least alike, above one another.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from benchmarks.mouth_pixels import lips_box, ssim
from benchmarks.output import last_line, show
from realtime_dub.face.tracker import MediaPipeTracker
from realtime_dub.media import Image
from realtime_dub.sources.base import read_all
from realtime_dub.sources.video_file import VideoFileSource

Mouths = tuple[Image, Image]
SHOWN, HIGH = 8, 160  # mouths on the sheet, and pixels of each


def mouths(before: Path, now: Path) -> Iterator[Mouths]:
    """Of each frame of both films in which there is a face."""
    one, other, tracker = VideoFileSource(before), VideoFileSource(now), MediaPipeTracker()
    one.open()
    other.open()
    for frame, drawn in zip(read_all(one.read), read_all(other.read), strict=True):
        seen = tracker.track(frame)
        if seen.face is None:
            continue
        x, y, width, height = lips_box(seen)
        yield frame.image[y : y + height, x : x + width].copy(), drawn.image[y : y + height, x : x + width].copy()
    tracker.close()


def alike(pair: Mouths) -> float:
    one, other = (cv2.cvtColor(each, cv2.COLOR_BGR2GRAY).astype(np.float64) for each in pair)
    return ssim(one, other)


def sheet(pairs: list[Mouths]) -> Image:
    """Each pair above one another, the first of each pair on top."""
    columns = []
    for pair in pairs:
        wide = round(pair[0].shape[1] * HIGH / pair[0].shape[0])
        columns.append(np.concatenate([cv2.resize(each, (wide, HIGH)) for each in pair]))
    return np.concatenate(columns, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=Path)
    parser.add_argument("now", type=Path)
    parser.add_argument("--sheet", type=Path)
    args = parser.parse_args()
    pairs = list(mouths(args.before, args.now))
    found = np.array([alike(pair) for pair in pairs])
    figures = {"frames": len(found), "mean": float(found.mean()), "least": float(found.min())}
    figures["of 100, one below"] = float(np.percentile(found, 1))
    show("structural similarity of the mouths", ("figure", ""), figures.items())
    if args.sheet:
        cv2.imwrite(str(args.sheet), sheet([pairs[at] for at in found.argsort()[:SHOWN]]))
    last_line({"benchmark": "same_mouths", **figures})


if __name__ == "__main__":
    main()
