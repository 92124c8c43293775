"""Whether what a network gives can be a mouth: numbers, near, whole; three times as far as loud speech goes is allowed.

Points of a mouth go together: each by up to a quarter of a mouth width in loud speech, all of them by a twelfth, and
neighbours on the lips apart by a fifteenth. What goes much farther is drawn as a smear, or as a torn face.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from realtime_dub.face.landmarks import LIPS_INNER, LIPS_OUTER
from realtime_dub.media import Floats

FARTHEST = 0.7  # mouth widths that any point may be moved by
TOGETHER = 0.25  # that all may be, on the average
TORN = 0.2  # between neighbours on the lips
SURE_BEYOND = 0.01  # outside of 0..1 by more than this, a probability is none


class Plausible:
    """For networks that move the points ``points`` of the face mesh, in rising order."""

    def __init__(self, points: npt.NDArray[np.int_]) -> None:
        rings = [np.stack([ring, np.roll(ring, -1)]) for ring in (LIPS_OUTER, LIPS_INNER)]
        pairs = np.concatenate(rings, axis=1)
        self._one, self._next = np.searchsorted(points, pairs[:, np.isin(pairs, points).all(0)])

    def __call__(self, moved: Floats, sure: Floats) -> npt.NDArray[np.bool_]:
        """Of outputs (m, points, 3), mouth widths, and (m,), each for itself; False beside no numbers."""
        with np.errstate(invalid="ignore", over="ignore"):  # these are what is looked for
            heard = np.abs(sure - 0.5) <= 0.5 + SURE_BEYOND
            farthest = np.maximum.reduce(np.abs(moved.reshape(len(moved), -1)), 1, initial=0)
            if (farthest <= min(TORN / 2, TOGETHER)).all():
                return np.asarray(heard)  # so little cannot be torn
            apart = np.abs(moved.take(self._one, 1) - moved.take(self._next, 1)).max(axis=(1, 2), initial=0)
            whole = heard & (apart <= TORN)
            if (farthest <= TOGETHER).all():
                return np.asarray(whole)
            together = np.abs(np.add.reduce(moved, 1)).max(1) <= TOGETHER * moved.shape[1]
            return np.asarray(whole & together & (farthest <= FARTHEST))
