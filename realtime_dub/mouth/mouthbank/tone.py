"""The colour of a person's lips, as the camera sees it now: mouths of the bank are drawn in it.

Each was filmed at another moment, in another light or shade. Drawn as they are, lips change their colour whenever
another mouth is taken, which is every second or third frame. How lips are coloured against the skin is the person's; so
that is followed slowly, for lips that speak change a little, and the skin's own colour, which is the light's, at once.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt

from realtime_dub.blend.warp import sample
from realtime_dub.face.landmarks import LIPS, LIPS_OUTER
from realtime_dub.face.types import Face, TrackedFrame
from realtime_dub.media import NS, Floats, Image

SLOW_NS, AWAY_NS = NS, NS  # time constant; without a look for longer it begins anew
DARK = 8.0  # levels: what is darker has no colour

_ACROSS = (
    0.35,
    0.5,
    0.65,
    0.8,
)  # of the way from a lip's inner edge to the outer one: trackers often take teeth for lips
_COUNT = len(LIPS_OUTER)


def _places() -> npt.NDArray[np.float32]:
    """Of which of a lip's points those are made whose colour is looked at, (4 * 18, 40), without the corners."""
    beside_corners = np.r_[1:10, 11:20]
    shares = np.zeros((len(_ACROSS), len(beside_corners), 2 * _COUNT), np.float32)
    for row, across in zip(shares, _ACROSS, strict=True):
        row[np.arange(len(row)), beside_corners] = across
        row[np.arange(len(row)), beside_corners + _COUNT] = 1 - across
    return shares.reshape(-1, 2 * _COUNT)


_PLACES = _places()
# Cheeks, wings, ridge and tip of the nose: what speech hardly moves, and a beard does not cover.
_SKIN = np.array([50, 280, 101, 330, 117, 346, 205, 425, 36, 266, 4, 5, 195, 6, 197])
_AROUND = 0.03 * np.array([[0, 0], [1, 0], [-1, 0], [0, 1], [0, -1]], np.float32)[:, None]  # template units


class Tone:
    """Follows how one person's lips are coloured. Not thread-safe."""

    def __init__(self) -> None:
        self._shot: int | None = None  # None: nobody was seen
        self._at_ns = self._since_ns = 0
        self._skin = self._lips = np.zeros(3, np.float32)  # BGR levels; the lips' against the skin's

    def known(self, tracked: TrackedFrame) -> bool:
        """Something of the frame's shot was followed."""
        return self._shot == tracked.shot

    def follow(self, tracked: TrackedFrame) -> None:
        """One more look at a face with nothing before it. Frames come in order; the same one again changes nothing."""
        face, at_ns = tracked.face, tracked.frame.pts_ns
        assert face is not None
        step_ns = at_ns - self._at_ns
        begins = not self.known(tracked) or not 0 <= step_ns <= AWAY_NS
        if step_ns == 0 and not begins:
            return
        self._skin = np.maximum(_skin_colour(tracked.frame.image, face), DARK)
        lips = lips_colour(tracked.frame.image, face.points[LIPS]) / self._skin
        if begins:
            self._shot, self._since_ns, self._lips = tracked.shot, at_ns, lips
        else:
            slow_ns = max(1, min(SLOW_NS, at_ns - self._since_ns))  # at the start all that was seen counts alike
            self._lips = self._lips + np.float32(1 - math.exp(-step_ns / slow_ns)) * (lips - self._lips)
        self._at_ns = at_ns

    @property
    def lips(self) -> Floats:
        """Their colour (3,) in the light of the last look, BGR levels."""
        return self._skin * self._lips


def lips_colour(image: Image, lips: npt.NDArray[np.float32]) -> Floats:
    """The mean colour (3,), BGR levels, of lips whose points (40, 2 or 3) lie in ``image``: of the same places of each
    lip, however it is bent.
    """
    return _mean(image, (_PLACES @ lips[:, :2])[:, None])


def _skin_colour(image: Image, face: Face) -> Floats:
    return _mean(image, face.points[_SKIN, :2] + np.float32(face.pose.scale) * _AROUND)


def _mean(image: Image, at: npt.NDArray[np.float32]) -> Floats:
    """Of ``image`` at pixel coordinates (n, m, 2)."""
    return np.array(cv2.mean(sample(image, at, fine=False))[:3], np.float32)
