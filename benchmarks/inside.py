"""The built-in portrait opens its mouth, the inside dark above and painted below: `python -m benchmarks.inside`.

``--sheet`` writes the picture. The last line has as JSON, for each opening that was asked for, those that the tracker
finds in both, mouth widths, and how much processor time a mouth takes with the paint and without.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import cv2
import numpy as np

from benchmarks.media import frames
from realtime_dub.blend.composite import Compositor
from realtime_dub.face.alignment import LOWER, TEMPLATE, mouth_width
from realtime_dub.face.landmarks import CHIN, LIPS, LIPS_INNER, mean_lip_opening
from realtime_dub.face.tracker import MediaPipeTracker
from realtime_dub.face.types import Points, TrackedFrame
from realtime_dub.media import Frame, Image
from realtime_dub.mouth.mouthbank.bank import Bank
from realtime_dub.mouth.mouthbank.inside import Inside
from realtime_dub.mouth.mouthbank.render import Renderer

OPENED = (0.06, 0.1, 0.13, 0.16, 0.2, 0.25)  # mouth widths that the lower lip goes down
SIDE, ROOM = 220, 0.9  # pixels of a picture, mouth widths to each side of the mouth
TIMES = 20


def moved(by: float) -> Points:
    """The lower lip and the chin go down."""
    points = np.zeros((len(LOWER), 3), np.float32)
    across = np.clip(1 - (2 * TEMPLATE[LOWER, 0]) ** 2, 0, 1)
    below = TEMPLATE[LOWER, 1] > TEMPLATE[LIPS_INNER, 1].mean()
    points[below, 1] = by * across[below]
    points[LOWER == CHIN, 1] = by
    return points


def drawn(tracked: TrackedFrame, renderer: Renderer, by: float) -> Image:
    patch = renderer.render(tracked, moved(by), 1.0, 0)
    return tracked.frame.image if patch is None else Compositor().compose(tracked, patch, 1.0)


def found(image: Image) -> float:
    """How far the tracker finds the lips apart, after some looks."""
    tracker = MediaPipeTracker(smooth=False)
    try:
        face = [tracker.track(Frame(image, k * 40_000_000, k)).face for k in range(3)][-1]
    finally:
        tracker.close()
    return float("nan") if face is None else float(mean_lip_opening(face.canonical)) / mouth_width(face.canonical)


def cut(tracked: TrackedFrame, image: Image) -> Image:
    assert tracked.face is not None
    x, y = tracked.face.points[LIPS, :2].mean(0)
    half = ROOM * tracked.face.pose.scale
    x0, y0, x1, y1 = np.rint([x - half, y - half, x + half, y + half]).astype(int).tolist()
    return np.asarray(cv2.resize(image[y0:y1, x0:x1], (SIDE, SIDE), interpolation=cv2.INTER_CUBIC), np.uint8)


def took_ms(tracked: TrackedFrame, renderer: Renderer) -> float:
    """Processor time, the middle of some calls."""
    times = []
    for _ in range(TIMES):
        start = time.process_time()
        renderer.render(tracked, moved(OPENED[-1]), 1.0, 0)
        times.append(1000 * (time.process_time() - start))
    return round(float(np.median(times)), 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sheet", type=Path, help="write the picture here")
    args = parser.parse_args()
    tracker, bank = MediaPipeTracker(), Bank()
    tracked = tracker.track(next(frames("demo")))
    tracker.close()
    bank.observe(tracked)
    renderers = {"dark": Renderer(bank), "painted": Renderer(bank, Inside())}
    images = {name: [drawn(tracked, each, by) for by in OPENED] for name, each in renderers.items()}
    if args.sheet:
        rows = [np.concatenate([cut(tracked, image) for image in row], 1) for row in images.values()]
        cv2.imwrite(str(args.sheet), np.concatenate(rows))
    told: dict[str, object] = {"asked": OPENED}
    for name, renderer in renderers.items():
        told[name] = [round(found(image), 3) for image in images[name]]
        told[f"{name}_ms"] = took_ms(tracked, renderer)
    print(json.dumps(told))


if __name__ == "__main__":
    main()
