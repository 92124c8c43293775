"""The look at the person that a painter is shown beside the hidden face: their own, the mouth shut, the head alike.

A network that is shown the very frame it paints copies its mouth. So a few looks are kept, and one is used until
another is clearly better: the painted skin comes from it, and would jump.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from realtime_dub.face.alignment import mouth_width
from realtime_dub.face.landmarks import mean_lip_opening
from realtime_dub.face.types import Face, Pose, TrackedFrame
from realtime_dub.media import MS, NS, Image

MOST = 12  # looks
EVERY_NS, OLD_NS = 200 * MS, 60 * NS  # from one to the next; light and clothes change
OPEN_COSTS, TURN_COSTS = 4.0, 1 / 15  # of a mouth width; of a degree between two heads
BETTER = 0.15  # by so much another has to be


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """A crop of the person at another moment."""

    image: Image
    pose: Pose
    opening: float  # mouth widths
    at_ns: int

    def cost(self, pose: Pose) -> float:
        """How little it suits a head of this ``pose``."""
        cosine = (np.trace(self.pose.rotation @ pose.rotation.T) - 1) / 2
        turn = float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))
        return OPEN_COSTS * self.opening + TURN_COSTS * turn


class References:
    """One person's looks, within one shot. Not thread-safe."""

    def __init__(self) -> None:
        self._looks: list[Look] = []
        self._used: Look | None = None
        self._shot = 0

    def see(self, tracked: TrackedFrame, face: Face, image: Image) -> None:
        """A crop of a frame, in order; not each is kept."""
        if tracked.shot != self._shot:  # another person, maybe
            self._looks, self._used, self._shot = [], None, tracked.shot
        at_ns = tracked.frame.pts_ns
        if self._looks and 0 <= at_ns - self._looks[-1].at_ns < EVERY_NS:
            return
        self._looks = [each for each in self._looks if 0 <= at_ns - each.at_ns < OLD_NS]
        if len(self._looks) >= MOST:
            self._looks.remove(max(self._looks, key=lambda each: each.opening))
        opening = float(mean_lip_opening(face.canonical)) / max(mouth_width(face.canonical), 1e-3)
        self._looks.append(Look(image, face.pose, opening, at_ns))

    def choose(self, face: Face) -> Image:
        """The best for this face; something was seen before."""
        best = _best(self._looks, face.pose)
        if self._used is None or best.cost(face.pose) < self._used.cost(face.pose) - BETTER:
            self._used = best
        return self._used.image


def _best(looks: Iterable[Look], pose: Pose) -> Look:
    return min(looks, key=lambda each: each.cost(pose))
