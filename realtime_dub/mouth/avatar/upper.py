"""Brows and eyes of an avatar: they go where they went in the recording, and nowhere else.

The stored stretch is played forwards and backwards without end. Blinks are taken out of it: they come when they come
(``blinks``). A voice moves neither: in the recording that was looked at, brows did not follow it.
"""

from __future__ import annotations

import numpy as np

from realtime_dub.face.types import Points
from realtime_dub.media import NS, Floats
from realtime_dub.mouth.avatar.recorded import swung

__all__ = ["Upper"]

BROWS = np.array([70, 63, 105, 66, 107, 46, 53, 52, 65, 55, 336, 296, 334, 293, 300, 276, 283, 282, 295, 285])
IRISES = np.arange(468, 478)
LIDS = np.array([[159, 145], [386, 374]])  # upper and lower
SHUT = 0.15  # of the usual opening: where eyes are shut by more, nobody knows where they look
BESIDE = 3  # frames before and behind such ones
BLUR = ((BROWS, 5.0), (IRISES, 1.5))  # frames: brows go slowly, eyes leap


class Upper:
    """``neutral`` (478, 3): the face at rest; ``moved`` (n, 478, 3): how it went in the recording, from there."""

    def __init__(self, neutral: Points, moved: Floats, fps: int) -> None:
        self._period_ns = NS // fps
        good = np.flatnonzero(~_blinking(neutral, moved))
        self._moved = np.zeros_like(moved)
        if len(good):
            for points, frames in BLUR:
                self._moved[:, points] = blurred(filled(moved[:, points], good), frames)

    def at(self, at_ns: int) -> Floats:
        """Where brows and eyes are from rest (478, 3) at an instant; zero elsewhere."""
        first, second, part = swung(at_ns / self._period_ns, len(self._moved))
        return np.asarray((1 - part) * self._moved[first] + part * self._moved[second], np.float32)


def filled(values: Floats, good: np.ndarray[tuple[int], np.dtype[np.intp]]) -> Floats:
    """Values (n, ...) with a straight line in the place of those that are not among the rows ``good``."""
    flat, every = values.reshape(len(values), -1), np.arange(len(values))
    columns = [np.interp(every, good, column[good]) for column in flat.T]
    return np.stack(columns, 1).reshape(values.shape).astype(np.float32)


def blurred(values: Floats, frames: float) -> Floats:
    """Values (n, ...) blurred over time by a Gaussian of ``frames``; never beyond what they were."""
    reach = int(np.ceil(3 * frames))
    taps = np.exp(-0.5 * (np.arange(-reach, reach + 1) / frames) ** 2)
    around = np.pad(values.reshape(len(values), -1), ((reach, reach), (0, 0)), mode="edge")
    columns = [np.convolve(column, taps / taps.sum(), "valid") for column in around.T]
    return np.stack(columns, 1).reshape(values.shape).astype(np.float32)


def _blinking(neutral: Points, moved: Floats) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """In which frames (n,) eyes are shut, or about to be."""
    usual = (neutral[LIDS[:, 1], 1] - neutral[LIDS[:, 0], 1]).mean()
    change = (moved[:, LIDS[:, 1], 1] - moved[:, LIDS[:, 0], 1]).mean(1)
    shut = change < np.median(change) - SHUT * abs(usual)
    return np.convolve(np.pad(shut, BESIDE), np.ones(2 * BESIDE + 1), "valid") > 0.5
