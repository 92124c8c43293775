"""A few measures of a mouth that feelings move, and an opening jaw does not."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import numpy.typing as npt

from realtime_dub.face.landmarks import CORNERS, LIPS_INNER, LIPS_OUTER, mean_lip_opening
from realtime_dub.face.types import Points
from realtime_dub.media import Floats

# Corners' height and width, the same for the right corner less the left one; where the lips meet between them; height
# of the upper and of the lower lip, how far the lips stand out. What of an opening goes into each (of seven people).
WITH_OPENING = np.array([-0.13, 0.0, 0.0, 0.0, -0.26, -0.03, 0.1, 0.05], np.float32)
# Of all that was seen of a person, the share that smiles least, and how much higher and wider corners then stand for a
# smile. Of seven people who speak without smiling 0 to 2 of 100 frames come so far.
LEAST_SHARE, SMILES = 0.2, 0.18

_LEFT, _RIGHT = np.array([CORNERS[0], LIPS_INNER[0]]), np.array([CORNERS[1], LIPS_INNER[10]])
_UPPER, _LOWER = LIPS_INNER[3:8], LIPS_INNER[17:12:-1]
_UPPER_OUTER, _LOWER_OUTER = LIPS_OUTER[3:8], LIPS_OUTER[17:12:-1]


def _defined(shapes: Points) -> Floats:
    left, right = shapes[..., _LEFT, :].mean(-2), shapes[..., _RIGHT, :].mean(-2)
    upper, lower = shapes[..., _UPPER_OUTER, :].mean(-2), shapes[..., _LOWER_OUTER, :].mean(-2)
    middle, apart, lips = (left + right) / 2, (right - left) / 2, (upper + lower) / 2
    meet = (shapes[..., _UPPER, 1].mean(-1) + shapes[..., _LOWER, 1].mean(-1)) / 2
    upper_height = shapes[..., _UPPER, 1].mean(-1) - upper[..., 1]
    lower_height = lower[..., 1] - shapes[..., _LOWER, 1].mean(-1)
    ends = -middle[..., 1], apart[..., 0], -apart[..., 1], middle[..., 0]
    return np.stack([*ends, -meet, upper_height, lower_height, middle[..., 2] - lips[..., 2]], -1)


def _weights() -> Floats:
    """What each coordinate of the points in use adds to each measure (points * 3, 8)."""
    units = np.zeros((3 * len(_USED), 478, 3), np.float32)
    units[np.arange(len(units)), np.repeat(_USED, 3), np.tile(np.arange(3), len(_USED))] = 1
    return np.asarray(_defined(units), np.float32)


_USED = np.unique(np.concatenate([_LEFT, _RIGHT, _UPPER, _LOWER, _UPPER_OUTER, _LOWER_OUTER]))
_WEIGHTS = _weights()


def measures(shapes: Points) -> Floats:
    """Of canonical faces (..., 478, 3): (..., 8), as ``WITH_OPENING`` lists them, in the face's own units.

    One product, because each frame is measured several times: their definition in so many means takes thirty times it.
    """
    points = shapes[..., _USED, :]
    return np.asarray(points.reshape(*points.shape[:-2], -1) @ _WEIGHTS, np.float32)


def freed(shapes: Points, opening: Floats | None = None) -> Floats:
    """The measures of faces, freed of what an open jaw does to them; their lips' mean ``opening``, if it is known."""
    opening = mean_lip_opening(shapes) if opening is None else opening
    return np.asarray(measures(shapes) - WITH_OPENING * opening[..., None], np.float32)


def smile(shapes: Points) -> Floats:
    """How high and wide the corners of faces (..., 478, 3) stand, (...,)."""
    return np.asarray(freed(shapes)[..., :2].sum(-1))


@dataclass(slots=True)
class Smiles:
    """Tells which shapes of one person smile: no resting faces, and not how far the person opens the mouth to speak."""

    _least: float = 0.0
    _in_a_row: int = 0

    def __call__(self, shape: Points) -> int:
        """How many shapes in a row have smiled, this one included; 0 = it does not."""
        smiles = float(smile(shape)) > self._least + SMILES
        self._in_a_row = self._in_a_row + 1 if smiles else 0
        return self._in_a_row

    def absent(self, shapes: Points) -> npt.NDArray[np.bool_]:
        """In which of all that is remembered of the person (n, 478, 3) there is none, (n,); the least is found anew."""
        smiles = smile(shapes)
        self._least = float(np.quantile(smiles, LEAST_SHARE))
        return np.asarray(smiles <= self._least + SMILES, np.bool_)

    def copy(self) -> Self:
        return replace(self)
