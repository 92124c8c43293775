"""What is remembered of one person's face: a few descriptors, each with the view that it was seen from."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from realtime_dub.face.descriptor import LENGTH, Descriptor
from realtime_dub.face.types import Face
from realtime_dub.media import Floats

CAPACITY = 16
NEAR = 1.3  # a look this near to a remembered one is the same, and sharpens it
SETTLED = 50  # looks after which a remembered one moves by no more than a fiftieth
TURN = 4.8  # how far a turn of the head by one direction cosine takes a face from itself
TURN_SHARE = 0.5  # of a squared distance that a turn may account for

Views = Floats  # (n, 2) yaw, pitch as direction cosines


def view(face: Face) -> Floats:
    """Where the head points (2,): yaw and pitch as direction cosines."""
    return face.pose.rotation[2, :2]


def apart(descriptors: Floats, views: Views, descriptor: Descriptor, seen_from: Floats) -> Floats:
    """Distances (n,) of ``descriptors`` from one, less what different views account for."""
    squared = _squares(descriptors - descriptor)
    turned = TURN**2 * _squares(views - seen_from)
    return np.asarray(np.sqrt(squared - np.minimum(turned, TURN_SHARE * squared)), np.float32)


def _squares(away: Floats) -> Floats:
    """Of the lengths of vectors (n, k), which are overwritten."""
    away *= away
    return np.asarray(np.add.reduce(away, 1), np.float32)


@dataclass(slots=True, eq=False)
class Gallery:
    """One person. Bounded; the first look, about which the others lie, is never given up."""

    descriptors: Floats = field(default_factory=lambda: np.zeros((0, LENGTH), np.float32))
    views: Views = field(default_factory=lambda: np.zeros((0, 2), np.float32))
    _counts: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._counts = self._counts or [1] * len(self.descriptors)

    def __len__(self) -> int:
        return len(self.descriptors)

    def copy(self) -> Gallery:
        """Another one that knows the same. May be called while another thread adds to this one."""
        descriptors, views, counts = self.descriptors.copy(), self.views.copy(), list(self._counts)
        count = min(len(descriptors), len(views), len(counts))
        return Gallery(descriptors[:count], views[:count], counts[:count])

    def distance(self, descriptor: Descriptor, seen_from: Floats) -> float:
        """How far a look is from this person; infinite where nobody was seen."""
        if not len(self):
            return float("inf")
        return float(apart(self.descriptors, self.views, descriptor, seen_from).min())

    def from_first(self, descriptor: Descriptor, seen_from: Floats) -> float:
        """How far a look is from the first."""
        return float(apart(self.descriptors[:1], self.views[:1], descriptor, seen_from)[0])

    def sharpen(self, descriptor: Descriptor, seen_from: Floats) -> bool:
        """Move the nearest remembered look towards this one; False where none is near."""
        if not len(self):
            return False
        distances = _squares(self.descriptors - descriptor)
        nearest = int(distances.argmin())
        if distances[nearest] > NEAR**2:
            return False
        self._counts[nearest] = min(self._counts[nearest] + 1, SETTLED)
        share = np.float32(1 / self._counts[nearest])
        self.descriptors[nearest] += share * (descriptor - self.descriptors[nearest])
        self.views[nearest] += share * (seen_from - self.views[nearest])
        return True

    def add(self, descriptor: Descriptor, seen_from: Floats) -> None:
        """Remember another look of this person."""
        kept = [0, *range(max(1, len(self) - CAPACITY + 2), len(self))] if len(self) else []
        self.descriptors = np.concatenate([self.descriptors[kept], descriptor[None]])
        self.views = np.concatenate([self.views[kept], seen_from[None]])
        self._counts = [*(self._counts[k] for k in kept), 1]
