"""Colour match: make one picture's skin look lit like another's."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from realtime_dub.media import Image

MAX_SHIFT = 40.0  # levels; a larger difference is another light or another thing, not worth chasing


def rim_shift(reference: Image, image: Image, rim: npt.NDArray[np.bool_]) -> npt.NDArray[np.float32]:
    """What to add to ``image`` so that its median colour on ``rim`` is that of ``reference``; (3,), bounded."""
    difference = _at(cv2.subtract(reference, image, dtype=cv2.CV_16S), rim)
    if not len(difference):
        return np.zeros(3, np.float32)
    return np.asarray(np.minimum(np.maximum(median(difference), -MAX_SHIFT), MAX_SHIFT), np.float32)


def median(values: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.float64]:
    """Of whole numbers (n, channels), n > 0. np.median does the same, and more around it."""
    low, high = (len(values) - 1) // 2, len(values) // 2
    ordered = np.partition(values, (low, high), axis=0)
    return np.asarray((ordered[low] + ordered[high].astype(np.float64)) / 2)


def chosen(image: Image, where: npt.NDArray[np.bool_]) -> Image:
    """The pixels (n, 3) of ``image`` where it says so, in a fourth of the time of NumPy's own indexing."""
    return np.asarray(_at(image, where), np.uint8)


def _at(values: Any, where: npt.NDArray[np.bool_]) -> Any:
    return values.reshape(-1, 3).take(np.flatnonzero(where), axis=0)


def add(image: Image, shift: npt.NDArray[np.float32]) -> Image:
    """``image`` plus a colour, clipped."""
    return np.asarray(cv2.add(image, np.append(np.rint(shift), 0).astype(np.float64)), np.uint8)
