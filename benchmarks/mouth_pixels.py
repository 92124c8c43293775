"""How a drawn mouth looks beside the true one: pixels around the lips, and along the edge of what was changed.

``ssim``       structural similarity (Wang et al. 2004) of the grey pictures, mean over frames
``psnr``       of the square error of all frames together, dB; infinite where nothing differs
``sharpness``  mean size of the gradient, as a share of the truth's
``seam``       mean size of the gradient in rings along the edge of what was changed, as a share of the truth's there:
               that of the worst ring. A box that was pasted has a hard edge, a mouth in another light a soft one
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cv2
import numpy as np
import numpy.typing as npt

from engines.common.video_metrics import Array, Bools
from realtime_dub.blend.masks import bounding_box
from realtime_dub.face.landmarks import LIPS
from realtime_dub.face.types import TrackedFrame
from realtime_dub.media import Image

ROOM = 0.25  # mouth widths around the lips
RING, RINGS = 0.05, 4  # mouth widths; from the edge inwards, beside the pixel on either side of it
OUTSIDE, INSIDE = -1, 0
MOST = 0.5  # of a frame: where more was changed it is another frame, and has no edge
FULL = 255.0
C1, C2 = (0.01 * FULL) ** 2, (0.03 * FULL) ** 2  # of the structural similarity
NAMES = ("ssim", "psnr", "sharpness", "seam")


def figures(tracked: Sequence[TrackedFrame], made: Sequence[Image], where: Bools) -> dict[str, float]:
    """Of the frames ``where`` (T,) that have a face: frames ``made`` against those that were ``tracked``.

    NaN where there is nothing to tell: no such frame, or pictures of another size.
    """
    pairs = [
        (seen, image)
        for seen, image, asked in zip(tracked, made, where, strict=False)
        if asked and seen.face is not None and image.shape == seen.frame.image.shape
    ]
    if not pairs:
        return dict.fromkeys(NAMES, float("nan"))
    mouths = [_mouths(seen, image) for seen, image in pairs]
    grey = [tuple(map(_grey, each)) for each in mouths]
    return {
        "ssim": float(np.mean([ssim(*each) for each in grey])),
        "psnr": _psnr(mouths),
        "sharpness": _share((_gradient(mouth).mean(), _gradient(truth).mean()) for mouth, truth in grey),
        "seam": seam(pairs),
    }


def seam(pairs: Sequence[tuple[TrackedFrame, Image]]) -> float:
    """NaN where nothing was changed in any frame."""
    rings = [each for seen, image in pairs for each in _edges(seen, image)]
    found = [_share((made, truth) for at, made, truth in rings if at == ring) for ring in {at for at, _, _ in rings}]
    return max(found, default=float("nan"))


def ssim(a: Array, b: Array) -> float:
    """Of two grey pictures (h, w)."""

    def mean(values: Array) -> Array:
        return np.asarray(cv2.GaussianBlur(values, (11, 11), 1.5), np.float64)

    means, squares = mean(a) * mean(b), mean(a) ** 2 + mean(b) ** 2
    both: Array = mean(a * b) - means
    apart: Array = mean(a * a) + mean(b * b) - squares
    return float(((2 * means + C1) * (2 * both + C2) / ((squares + C1) * (apart + C2))).mean())


def lips_box(seen: TrackedFrame, room: float = ROOM) -> tuple[int, int, int, int]:
    """x, y, width and height around the lips, within the frame; ``room`` in mouth widths."""
    assert seen.face is not None
    return bounding_box(seen.face.points[LIPS], room * seen.face.pose.scale, seen.frame.width, seen.frame.height)


def _mouths(seen: TrackedFrame, image: Image) -> tuple[Image, Image]:
    """The mouth as it was made, and the true one."""
    x, y, width, height = lips_box(seen)
    part = slice(y, y + height), slice(x, x + width)
    return np.asarray(image[part], np.uint8), np.asarray(seen.frame.image[part], np.uint8)


def _psnr(mouths: Sequence[tuple[Image, Image]]) -> float:
    apart = np.mean([((made.astype(np.float64) - truth) ** 2).mean() for made, truth in mouths])
    return float(10 * np.log10(FULL**2 / apart)) if apart > 0 else float("inf")


def _edges(seen: TrackedFrame, image: Image) -> Iterator[tuple[int, float, float]]:
    """Ring, and the sum of the gradients in it: of what was made, and of the truth."""
    assert seen.face is not None
    region = changed_region(seen.frame.image, image)
    if not region.any() or region.mean() > MOST:
        return
    inwards = cv2.distanceTransform(region.astype(np.uint8), cv2.DIST_L2, 5) - 1
    outside = (cv2.dilate(region.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0) & ~region
    rings = np.where(inwards < 1, INSIDE, 1 + np.floor(inwards / (RING * seen.face.pose.scale)))
    at = np.where(region, rings, np.where(outside, OUTSIDE, 1 + RINGS)).astype(int)
    made, truth = _gradient(_grey(image)), _gradient(_grey(seen.frame.image))
    for ring in range(OUTSIDE, 1 + RINGS):
        yield ring, float(made[at == ring].sum()), float(truth[at == ring].sum())


def changed_region(before: Image, after: Image) -> npt.NDArray[np.bool_]:
    """Pixels (h, w) that were changed, and those among them that happen to be alike."""
    changed = (before != after).any(-1).astype(np.uint8)
    closed = cv2.morphologyEx(changed, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    outlines, _ = cv2.findContours(closed, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    region = np.zeros_like(changed)
    if outlines:
        cv2.drawContours(region, [max(outlines, key=cv2.contourArea)], -1, (1,), cv2.FILLED)
    return np.asarray(region > 0)


def _share(pairs: Iterator[tuple[float, float]]) -> float:
    made, truth = np.sum(list(pairs), axis=0)
    return float(made / truth) if truth > 0 else float("nan")


def _grey(image: Image) -> Array:
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_BGR2GRAY), np.float64)


def _gradient(grey: Array) -> Array:
    return np.asarray(np.hypot(*np.gradient(grey)))
