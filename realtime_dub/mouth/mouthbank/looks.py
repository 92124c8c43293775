"""Looks at one person's face, and where it rests by them, also where it was seen talking only.

A mouth that talks stands lower and narrower than the same mouth at rest, even where its lips meet: in eight people of
GRID by 0.01 to 0.06 mouth widths, mean 0.04. So whoever has been seen talking without a pause, or has drawn breath to
begin, would rest too low. By how much most mouths do so, and the more the farther they are open, a net's usual motion
says: it is counted from rest. As soon as there are pauses enough the median of the least open looks is the rest, as in
training (``face/alignment.py``).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Self

import numpy as np
import numpy.typing as npt

from realtime_dub.face.alignment import LOWER, mouth_width, neutral_shape
from realtime_dub.face.landmarks import mean_lip_opening
from realtime_dub.face.types import Points
from realtime_dub.media import MS, Floats
from realtime_dub.mouth.mouthbank.measures import Smiles
from realtime_dub.mouth.mouthbank.way import Line

MOST_LOOKS = 256  # recent looks that are kept
ENOUGH = 12  # fewer say nothing of a range
LEAST_OPEN = 0.4  # share of the looks that the resting face is taken from
AROUND_NS = 250 * MS  # on both sides of a look, in which
TALKS_FROM, TALKS_AT = 0.04, 0.09  # the opening of a mouth that talks changes by so much, mouth widths
USUAL, MOSTLY = 0.7, 0.95  # share of the least open looks that talk: in sentences with pauses, and without any
NEARLY_SHUT = 0.03  # mouth widths: lips at rest may be found so far apart
FIRST = 8  # of these looks, that nobody has seen yet, all are taken to talk
FEW = 15  # looks at which the median of the least open ones counts for half


@dataclass(slots=True, eq=False)
class Looks:
    """The newest shapes (478, 3), canonical, that do not smile, in the order in which they came."""

    count: int = 0  # so far
    _shapes: deque[Points] = field(default_factory=lambda: deque(maxlen=MOST_LOOKS))
    _times_ns: deque[int] = field(default_factory=lambda: deque(maxlen=MOST_LOOKS))
    _smiles: Smiles = field(default_factory=Smiles)

    def add(self, canonical: Points, at_ns: int) -> bool:
        """False for a smile, which is not kept; one that lasts too long for that is the person's face."""
        if self.count >= ENOUGH and 0 < self._smiles(canonical) <= MOST_LOOKS:
            return False
        self._shapes.append(canonical)
        self._times_ns.append(at_ns)
        self.count += 1
        return True

    def plain(self) -> tuple[Points, Floats]:
        """The shapes (n, 478, 3) that do not smile by what is known by now, and how far each one talks (n,), 0..1."""
        shapes, times_ns = np.asarray(self._shapes), np.asarray(self._times_ns)
        talks, plain = talking(np.asarray(mean_lip_opening(shapes)), times_ns), self._smiles.absent(shapes)
        return shapes[plain], talks[plain]

    def copy(self) -> Self:
        """Another one that knows the same."""
        return type(self)(self.count, self._shapes.copy(), self._times_ns.copy(), self._smiles.copy())


def talking(openings: Floats, times_ns: npt.NDArray[np.int64]) -> Floats:
    """How surely a mouth talks (n,), 0..1, by how its openings (n,), mouth widths, change around each look."""
    least, most = openings.copy(), openings.copy()
    for step in range(1, len(openings)):
        near = np.abs(times_ns[step:] - times_ns[:-step]) <= AROUND_NS
        if not near.any():
            break
        for at, other in ((slice(None, -step), openings[step:]), (slice(step, None), openings[:-step])):
            least[at] = np.where(near, np.minimum(least[at], other), least[at])
            most[at] = np.where(near, np.maximum(most[at], other), most[at])
    return np.asarray(np.clip((most - least - TALKS_FROM) / (TALKS_AT - TALKS_FROM), 0, 1), np.float32)


def face_at_rest(shapes: Points, talks: Floats, usual: Line | None) -> Points:
    """The resting face (478, 3) of looks (n, 478, 3) of which each ``talks`` (n,) so far.

    ``usual``: how most mouths stand from rest while they talk, mouth widths, as a line of their opening.
    """
    median = neutral_shape(shapes, LEAST_OPEN)
    if usual is None or not talks.any():
        return median
    width = mouth_width(median)
    openings = mean_lip_opening(shapes) / np.float32(width)
    near = talks[openings <= np.quantile(openings, LEAST_OPEN)]
    talked = (float(near.sum()) + FIRST) / (len(near) + FIRST)
    lower = width * min(max((talked - USUAL) / (MOSTLY - USUAL), 0.0), 1.0)
    opened = width * float((talks * np.maximum(openings - NEARLY_SHUT, 0)).mean())
    few = np.float32(FEW / (FEW + len(shapes)) * float(talks.max()))
    by_line = shapes.mean(0)  # each look without what opened it: where there are few, all tell more than the least open
    by_line[LOWER] -= np.float32(opened) * usual[1].reshape(-1, 3)
    rests = median + few * (by_line - median)
    rests[LOWER] -= np.float32(lower) * usual[0].reshape(-1, 3)
    return np.asarray(rests, np.float32)
