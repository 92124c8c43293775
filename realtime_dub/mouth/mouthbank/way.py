"""A mouth's own way to open: what the lower face looks like at each opening of the lips, as a line.

At the same opening one person's lips are wide and another's round; one lowers the jaw and another draws up the upper
lip; one speaks with the corners in and another with the teeth shown. A few hundred looks at somebody tell the line for
them, with or without their voice. The net has a line of its own, that of the people it learnt from, and is moved from
the one to the other. An opening stays what it was: lips that meet still meet.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from realtime_dub.face.alignment import LOWER, mouth_width
from realtime_dub.face.landmarks import mean_lip_opening
from realtime_dub.face.types import Points
from realtime_dub.media import Floats

Line = npt.NDArray[np.float32]  # (2, len(LOWER) * 3): displacement = line[0] + line[1] * opening

SIZE = len(LOWER) * 3
DOUBT = np.diag([40.0, 0.8])  # looks for which the net's line stands, and openings squared
NET_DOUBT = np.diag([5.0, 0.1])  # the same for a line from rest, until enough of the net's own motion was seen
NET_ENOUGH = 12  # motions after which half of the way is gone
NET_LASTS = 300  # motions
MOST = 0.15  # mouth widths by which any point is moved


@dataclass(slots=True, eq=False)
class Way:
    """Sums over looks at a mouth, of which the line is found."""

    weights: Floats  # (2, 2): of [1, opening] with itself
    moments: Floats  # (2, SIZE): of [1, opening] with the displacement

    @classmethod
    def empty(cls) -> Way:
        return cls(np.zeros((2, 2), np.float32), np.zeros((2, SIZE), np.float32))

    @classmethod
    def of(cls, shapes: Points, neutral: Points) -> Way:
        """Of looks (n, 478, 3), canonical, as displacements from ``neutral`` in its mouth widths."""
        width = mouth_width(neutral)
        openings = np.asarray(mean_lip_opening(shapes), np.float32) / width
        terms = np.stack([np.ones_like(openings), openings])
        moved = (shapes[:, LOWER] - neutral[LOWER]).reshape(len(shapes), SIZE) / np.float32(width)
        return cls(np.asarray(terms @ terms.T), np.asarray(terms @ moved))

    @classmethod
    def along(cls, line: Line, openings: Floats) -> Way:
        """Of looks at these openings (n,), mouth widths, that lie on a line."""
        terms = np.stack([np.ones_like(openings), openings])
        weights = terms @ terms.T
        return cls(np.asarray(weights, np.float32), np.asarray(weights @ line, np.float32))

    @classmethod
    def checked(cls, weights: Floats, moments: Floats) -> Way:
        """Sums that a file tells. Raises ValueError where they are of no looks at all."""
        (count, openings), (again, squares) = weights
        if count < 0 or squares < 0 or openings != again or openings**2 > 1.001 * count * squares:
            raise ValueError("what it tells of a mouth's way to open is impossible")
        return cls(weights, moments)

    def add(self, moved: Floats, opening: float) -> None:
        """One more motion (SIZE,); those long ago are forgotten."""
        terms, lasts = np.array([1.0, opening], np.float32), np.float32(1 - 1 / NET_LASTS)
        self.weights = lasts * self.weights + np.outer(terms, terms)
        self.moments = lasts * self.moments + np.outer(terms, moved)

    @property
    def count(self) -> float:
        return float(self.weights[0, 0])

    def line(self, before: Line, doubt: Floats) -> Line:
        """The line, where ``before`` is believed as much as ``doubt`` looks."""
        apart = self.moments - self.weights @ before
        (a, b), (c, d) = (self.weights + doubt).tolist()  # of two numbers np.linalg.solve makes twice the work
        inverse = np.array([[d, -b], [-c, a]]) / (a * d - b * c)
        return np.asarray(before + inverse @ apart, np.float32)

    def from_rest(self) -> Line:
        """The line through no displacement at no opening."""
        squares = float(self.weights[1, 1])
        slope = self.moments[1] / np.float32(squares) if squares > 0 else self.moments[1]
        return np.stack([np.zeros(SIZE, np.float32), slope])


def net_line(net: Way) -> Line:
    """Of the motions a net has made."""
    return net.line(net.from_rest(), NET_DOUBT)


def upon(net: Line, shut: Floats, rests: float) -> Line:
    """A net's line, whose zero is lips that touch, from a resting face whose lips come as near as ``shut``, ``rests``.

    ``shut``, ``rests``: as :func:`shift` has them; the line is one of the whole opening.
    """
    return np.stack([shut + net[0] - net[1] * np.float32(rests), net[1]])


def shift(person: Way, net: Way, shut: Floats, rests: float, opening: float) -> Floats:
    """By how much the net's displacement (SIZE,) at ``opening`` is moved to be this person's.

    ``shut``, ``rests``: displacement and opening of the person's closed lips, which the net's motion is put upon;
    ``opening`` is what the net adds. All in mouth widths.
    """
    before = upon(net_line(net), shut, rests)
    moved = person.line(before, DOUBT) - before
    trust = net.count / (net.count + NET_ENOUGH)
    way = trust * (moved[0] + moved[1] * np.float32(rests + opening))
    return np.asarray(np.minimum(np.maximum(way, -MOST), MOST), np.float32)
