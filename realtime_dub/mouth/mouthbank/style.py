"""How this person moves the mouth: how near the lips come, how far they open, and in which way.

The motion net learnt from few people: its zero is lips that touch, and it opens as far as they do. Another person may
rest with open lips, and speak with smaller or larger movements. What the bank has seen of the person says how the
net's motion is to be taken: from the person's own closed lips, and in the person's own measure.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable

import numpy as np

from realtime_dub.face.alignment import LOWER, mouth_width
from realtime_dub.face.landmarks import LIPS_INNER, OPENING, mean_apart, mean_lip_opening
from realtime_dub.face.types import Points
from realtime_dub.inference.spec import UsualSpec
from realtime_dub.mouth.mouthbank.bank import WIDE_SHARE, Bank
from realtime_dub.mouth.mouthbank.motion import Motion
from realtime_dub.mouth.mouthbank.voice_stream import opening as lips_opened
from realtime_dub.mouth.mouthbank.way import Way, shift

SPEAKS = 0.5  # probability of speech from which the motion is compared with the person's
LEAST, MOST = 0.75, 2.0  # of the net's motion
ENOUGH = 8  # motions after which the person's measure counts for half
HEARD = 300  # motions that the measure is taken from
USUAL = 20  # as many of the net's usual ones stand for a voice that nobody has heard yet
NEAR = 0.01  # mouth widths: lips that the net leaves so near each other touch, as a p, b or m asks for,
PRESSED, PRESSED_NEAR = 0.025, 0.04  # and they are pressed by the first, less by less the farther they are
NEARLY_SHUT, LITTLE = 0.03, 0.06  # mouth widths: lips so near each other are not opened by so little
_LEAST_OPENING = 1e-3
_UPPER_AT, _LOWER_AT = np.searchsorted(LOWER, OPENING).T
_UPPER, _LOWER = (np.searchsorted(LOWER, LIPS_INNER[cut]) for cut in (slice(1, 10), slice(11, 20)))


class Style:
    """One person's way to speak, against one voice's. Called once per dubbed picture."""

    def __init__(self, usual: UsualSpec | None = None) -> None:
        """``usual``: what the net's motion is like by most voices; without it that is found out from the first word."""
        self.scale = 1.0
        self._openings: deque[float] = deque(maxlen=HEARD)  # mouth widths
        self._way = Way.empty()  # the net's, in the person's measure
        self._known: _Closed | None = None
        if usual is not None:
            openings = np.quantile(usual.openings, (np.arange(USUAL) + 0.5) / USUAL).astype(np.float32)
            self._openings.extend(openings.tolist())
            self._way = Way.along(np.array(usual.line, np.float32).reshape(2, -1), openings)

    def __call__(self, motion: Motion, bank: Bank, strength: float) -> Points:
        """``motion`` as this person makes it: displacement (len(LOWER), 3) from ``bank.neutral``, mouth widths.

        As it is where the bank has not seen enough of the person.
        """
        self.measure(motion, bank)
        return self.applied(motion, bank, strength)

    def measure(self, motion: Motion, bank: Bank) -> None:
        """What one more motion says of the voice, while there is one."""
        closed = self._closed(bank)
        if closed is not None and motion.speech > SPEAKS and bank.closed is not None and bank.wide > 0:
            wide = bank.wide * closed.width + float(mean_lip_opening(bank.closed) - closed.opening)
            opening = closed.opened(motion.displacement * np.float32(closed.own)) / closed.own
            self._measure(opening, wide / closed.own)
            self._learn_way(motion.displacement * np.float32(self.scale * closed.own), closed)

    def applied(self, motion: Motion, bank: Bank, strength: float) -> Points:
        """As this person makes ``motion`` by what is known of their measure already."""
        closed = self._closed(bank)
        if closed is None:
            return np.asarray(motion.displacement * np.float32(strength), np.float32)
        width = closed.width
        moved = motion.displacement * np.float32(self.scale * strength * (closed.own / width))
        opening = closed.opened(moved * width) / width
        # Up and down alone: lips that touch are wide or round all the same.
        moved[:, 1] *= np.float32(_kept(opening))
        own_way = self._own_way(closed.opened(moved * width) / width, closed, bank)
        return np.asarray(moved + closed.nearer + own_way + _pressed(opening), np.float32)

    def opened(self, displacement: Points, bank: Bank) -> float:
        """How much farther than where they touch the lips are open, mouth widths; infinite where that is not known."""
        closed = self._closed(bank)
        return math.inf if closed is None else lips_opened(displacement) - lips_opened(closed.nearer)

    def _own_way(self, opening: float, closed: _Closed, bank: Bank) -> Points:
        """By how much the person's mouth looks otherwise than the net's where it opens so far."""
        if bank.way is None or not bank.speaks:
            return np.zeros((len(LOWER), 3), np.float32)
        rests = float(closed.opening) / closed.width
        return shift(bank.way, self._way, closed.nearer.reshape(-1), rests, opening).reshape(len(LOWER), 3)

    def _closed(self, bank: Bank) -> _Closed | None:
        """The person's own closed lips; None where they are not known."""
        assert bank.neutral is not None
        shut = bank.shut
        face, wide = (bank.closed, bank.neutral) if shut is None else (shut, shut)
        if face is None:
            return None
        if self._known is None or self._known.face is not face or self._known.neutral is not bank.neutral:
            self._known = _Closed(face, bank.neutral, mouth_width(wide))
        return self._known

    def _measure(self, opening: float, wide: float) -> None:
        """How far the person opens the mouth against how far the net would open it, mouth widths."""
        self._openings.append(opening)
        widest = max(quantile(self._openings, WIDE_SHARE), _LEAST_OPENING)
        trust = len(self._openings) / (len(self._openings) + ENOUGH)
        self.scale = 1 + trust * (min(max(wide / widest, LEAST), MOST) - 1)

    def _learn_way(self, moved: Points, closed: _Closed) -> None:
        """How the net opens the mouth."""
        width = np.float32(closed.width)
        self._way.add((moved / width).reshape(-1), closed.opened(moved) / float(width))


class _Closed:
    """A person's closed lips, and what is asked of them in each frame; a bank finds them anew now and then."""

    def __init__(self, face: Points, neutral: Points, own: float) -> None:
        """``face``, ``neutral`` (478, 3); ``own``: how wide the lips are, since a smile is wider than what motion is
        measured in.
        """
        self.face, self.neutral, self.own, self.width = face, neutral, own, mouth_width(neutral)
        self.nearer: Points = (face - neutral)[LOWER] / self.width
        self.opening = mean_lip_opening(face)
        self._upper, self._lower = face[OPENING[:, 0]], face[OPENING[:, 1]]

    def opened(self, moved: Points) -> float:
        """How much farther the lips are apart with ``moved`` (len(LOWER), 3) in the face."""
        upper, lower = self._upper + moved[_UPPER_AT], self._lower + moved[_LOWER_AT]
        return float(mean_apart(upper, lower) - self.opening)


def quantile(values: Iterable[float], share: float) -> float:
    """As np.quantile has it (``share`` 0..1), to the bit, in a quarter of the time for some hundred numbers."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low = int(place)
    part, below, above = place - low, ordered[low], ordered[min(low + 1, len(ordered) - 1)]
    return below + (above - below) * part if part < 0.5 else above - (above - below) * (1 - part)


def _kept(opening: float) -> float:
    """Share of a small opening that is left: a net that learns by squares opens a little where it is not sure."""
    return 1 - math.exp(-((opening / NEAR) ** 2))


def kept_shut(own: Points, opened: float) -> Points:
    """What is one person's own (len(LOWER), 3), less what would open lips a little that the net has shut.

    What learns by squares learns a p, b or m as a mouth that is nearly shut. ``opened``: the lips without it.
    """
    more = lips_opened(own)
    if more <= 0:
        return own
    by = more / 2 * math.exp(-((max(opened, 0.0) / NEARLY_SHUT) ** 2) - (more / LITTLE) ** 2)
    changed = own.copy()
    changed[_UPPER, 1] += np.float32(by)
    changed[_LOWER, 1] -= np.float32(by)
    return changed


def _pressed(opening: float) -> Points:
    """What presses the inner lips where they are nearly shut (len(LOWER), 3): those of a p, b or m do.

    Lips that are drawn just touching are often found apart.
    """
    moved = np.zeros((len(LOWER), 3), np.float32)
    by = PRESSED / 2 * math.exp(-((max(opening, 0.0) / PRESSED_NEAR) ** 2))
    moved[_UPPER, 1], moved[_LOWER, 1] = by, -by
    return moved
