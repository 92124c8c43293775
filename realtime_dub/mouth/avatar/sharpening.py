"""Our own enhancement: an unsharp mask that goes beyond no level that is near, as strong as the person needs it.

A net of 192 pixels that learns absolute differences paints softly. What it lacks is found once, on the person at rest:
the filter is as strong as it has to be for the painted face to be as sharp as that of the recording.
"""

from __future__ import annotations

import cv2
import numpy as np

from realtime_dub.media import MS, Floats, Image
from realtime_dub.mouth.avatar.edges import OVAL, Points2
from realtime_dub.mouth.avatar.enhancing import Seen

__all__ = ["MOST", "Sharpener", "sharpness"]

MOST = 2.0  # amount; what is softer yet has no detail to be had
ROUNDS = 7  # halvings of where the amount is looked for


class Sharpener:
    """``amount``: of what blurring by one of the net's pixels takes away; ``pixel``: how large such a one is shown."""

    terms = ""
    compute_ns = 5 * MS

    def __init__(self, amount: float, pixel: float) -> None:
        self.amount, self._pixel = amount, pixel
        reach = 2 * max(1, round(4 / 3 * pixel)) + 1
        self._near = np.ones((reach, reach), np.uint8)

    @classmethod
    def like(cls, painted: Seen, true: Image, pixel: float) -> Sharpener:
        """As strong as makes a painted face as sharp as the one in ``true`` (n, n, 3), which lies at the same place."""
        wanted = sharpness(true, painted.face, pixel)
        low, high = 0.0, MOST
        for _ in range(ROUNDS):
            middle = (low + high) / 2
            found = sharpness(cls(middle, pixel).enhanced(painted), painted.face, pixel)
            low, high = (middle, high) if found < wanted else (low, middle)
        return cls(low if low < MOST / 2**ROUNDS else (low + high) / 2, pixel)

    def enhanced(self, seen: Seen) -> Image:
        """No pixel gets lighter or darker than the lightest and darkest near it were: no rims."""
        if self.amount == 0:
            return seen.picture
        picture = seen.picture.astype(np.float32)
        soft = cv2.GaussianBlur(picture, (0, 0), self._pixel)
        crisp = cv2.addWeighted(picture, 1 + self.amount, soft, -self.amount, 0)
        low, high = cv2.erode(seen.picture, self._near), cv2.dilate(seen.picture, self._near)
        crisp = np.clip(crisp, low, high)
        return np.asarray(np.rint(picture + seen.share[..., None] * (crisp - picture)), np.uint8)


def sharpness(picture: Image, face: Points2, pixel: float) -> float:
    """Of a face: the spread of its finest details, levels."""
    grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY).astype(np.float32)
    fine = cv2.GaussianBlur(grey, (0, 0), 0.55 * pixel) - cv2.GaussianBlur(grey, (0, 0), 1.35 * pixel)
    mask: Floats = np.zeros(grey.shape, np.uint8)
    cv2.fillConvexPoly(mask, cv2.convexHull(np.rint(face[OVAL]).astype(np.int32)), (1,))
    inside = fine[mask > 0]
    return float(inside.std()) if len(inside) else 0.0
