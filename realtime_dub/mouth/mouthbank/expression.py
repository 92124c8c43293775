"""What a live mouth says without words: a smile, a raised corner, pressed or pursed lips. It belongs to the person.

The dubbed mouth takes its words from the voice. A few measures of the live mouth that feelings move and an opening jaw
does not are followed slowly, and their distance from the same face without an expression is added to the dubbed motion.
That is the resting face, or how this person's mouth stands while it talks: lower and narrower, and the more so the
farther it opens. The dubbed mouth does so by itself. Words of the live mouth are quick and come to nothing on the
average, so they do not get through. An expression that begins is followed quickly, where it can be told from words: by
a mouth that does not speak, by cheeks that rise, or because the measures stay away for longer than a vowel.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from realtime_dub.face.alignment import LOWER, TEMPLATE, mouth_width
from realtime_dub.face.landmarks import LIPS, LIPS_OUTER, mean, mean_lip_opening
from realtime_dub.face.types import Points, TrackedFrame
from realtime_dub.media import MS, NS, Floats
from realtime_dub.mouth.mouthbank.bank import Bank
from realtime_dub.mouth.mouthbank.measures import WITH_OPENING, freed, measures
from realtime_dub.mouth.mouthbank.shut import FOLLOWS, NEAREST, SKIN
from realtime_dub.mouth.mouthbank.way import DOUBT, upon

# Speech without an expression leaves so much of each measure after a slow low-pass (root mean squares, eight people of
# GRID), and so much of the corners' of what a low-pass of STAYS_NS finds (seven).
SLOW_IN_SPEECH = np.array([0.022, 0.016, 0.004, 0.006, 0.02, 0.008, 0.011, 0.009], np.float32)
STAYS_IN_SPEECH = np.array([0.014, 0.013, 0.003, 0.004], np.float32)
# From frame to frame at 25 per second the measures of these people move by so much on the average. Of a face that the
# tracker finds less surely, under a moustache, they move more, and drift more as well.
MOVES_USUALLY = np.array([0.0064, 0.0067, 0.0021, 0.0035, 0.0068, 0.0058, 0.0078, 0.0031], np.float32)
UNSURE = 1.3  # times as much: one more than nearly all of them
MOVES_NS = 1_500 * MS  # over which that is averaged
CORNERS_ONLY, LIPS_ONLY = slice(0, 4), slice(5, 8)  # of the measures, what tells a smile, and pressed or pursed lips
WITH_TURN = np.array([2, 2, 10, 10, 2, 2, 2, 2], np.float32)  # how much more in a face seen wholly from the side;
TURNED = 0.15  # sine of the turn from which on it is more
KEPT_FROM, KEPT_AT = 2.5, 4.5  # times as much as speech leaves: below, it may be words; above, all is kept
QUIET = 0.35  # of that is enough in a mouth that does not speak
BEGINS_FROM, BEGINS_AT = 3.0, 4.5  # the same for what tells that an expression begins or ends
STAYS_NS = 120 * MS
SLOW_NS, QUICK_NS = 500 * MS, 60 * MS  # time constants while the live mouth speaks, and while an expression moves
SPEAKS_NS = 300 * MS  # a mouth that moved its jaw is taken to speak for about so long
SPEAKS_FROM, SPEAKS_AT = 0.06, 0.16  # speed of the opening, mouth widths a second
CHEEKS_FROM, CHEEKS_AT = 0.02, 0.05  # mouth widths that cheeks rise above what is followed
# Times as much as for a line that is drawn: who smiles a little most of the time would else be taken to talk like that.
TALKS_DOUBT = 10.0 * DOUBT
AWAY_NS = NS  # without the face for longer, what was seen of it does not count any more

_CHEEKS = np.array([50, 280, 101, 330, 117, 346])


def _moves() -> Floats:
    """How the points of the lower face go with each measure, (8, points * 3), at one more of it.

    Points of the lips that touch go the same way, so that an expression never parts the lips.
    """
    moves = np.zeros((len(SLOW_IN_SPEECH), 478, 3), np.float32)
    across = 2 * TEMPLATE[LIPS, 0]  # -1 and 1 at the corners
    corner, middle = across**2, np.clip(1 - across**4, 0, 1)
    moves[0, LIPS, 1], moves[1, LIPS, 0] = -corner, across
    moves[2, LIPS, 1], moves[3, LIPS, 0] = -corner * np.sign(across), corner
    moves[4, LIPS, 1] = corner - 1
    moves[5, LIPS, 1] = -middle * np.isin(LIPS, LIPS_OUTER[1:10])
    moves[6, LIPS, 1] = middle * np.isin(LIPS, LIPS_OUTER[11:])
    moves[7, LIPS, 2] = -middle
    moves[:, SKIN] = FOLLOWS * moves[:, NEAREST]
    mixed = np.stack([measures(move) for move in moves])  # linear: what each does to all measures
    return np.asarray(np.tensordot(np.linalg.inv(mixed), moves[:, LOWER], 1), np.float32).reshape(len(moves), -1)


_MOVES = _moves()


@dataclass(frozen=True, slots=True, eq=False)
class _Plain:
    """How one person's mouth stands without an expression, by the measures, freed; canonical."""

    neutral: Points  # of the bank that told
    rest: Floats  # (8,)
    talks: Floats  # (2, 8): by how much else it stands while it talks, at no opening and for each one of it
    per_width: np.float32  # one by the mouth's width

    @classmethod
    def of(cls, bank: Bank, neutral: Points) -> _Plain:
        near, width = _nearest(bank, neutral), np.float32(mouth_width(neutral))
        return cls(neutral, freed(near), _talks(bank, near, neutral, width), 1 / width)


def _talks(bank: Bank, near: Points, neutral: Points, width: np.float32) -> Floats:
    """The line (2, 8) of the mouth that talks, from the lips that are ``near``; 0 where nobody says how most do."""
    if bank.usual is None:
        return np.zeros((2, len(SLOW_IN_SPEECH)), np.float32)
    shut, rests = ((near - neutral)[LOWER] / width).reshape(-1), float(mean_lip_opening(near) / width)
    line = upon(bank.usual, shut, rests)
    if bank.way is not None and bank.speaks:
        line = bank.way.line(line, TALKS_DOUBT)
    shapes = np.zeros((2, *neutral.shape), np.float32)
    shapes[:, LOWER] = line.reshape(2, -1, 3)
    at_none, each = measures(shapes)
    return np.stack([measures(neutral) + at_none * width - freed(near), each - WITH_OPENING])


class Expression:
    """Follows one person's face and says what of it is kept. A few numbers of state. Not thread-safe."""

    def __init__(self) -> None:
        self._shot: int | None = None  # None: nobody was seen
        self._followed: TrackedFrame | None = None  # the last one
        self._at_ns = self._since_ns = 0
        self._slow = self._stays = np.zeros(len(SLOW_IN_SPEECH), np.float32)
        self._opening = self._speed = self._cheeks = 0.0
        self._talked = self._opened = 0.0  # followed like ``_slow``: how surely the mouth talks, its opening where so
        self._usual = np.ones_like(SLOW_IN_SPEECH)  # how much more than speech without an expression leaves is usual
        self._speaks = 1.0  # how sure it is that the mouth does
        self._seen = np.zeros(len(SLOW_IN_SPEECH), np.float32)  # in the last frame
        self._unsure = 1.0  # how much more than usually the measures move from frame to frame
        self._plain: _Plain | None = None
        self._kept: tuple[TrackedFrame, Points, Points] | None = None  # of a frame, from a resting face

    def kept(self, tracked: TrackedFrame, bank: Bank) -> Points:
        """What is kept of the live mouth in this frame, to be added to the dubbed motion.

        Displacement (len(LOWER), 3) in mouth widths of ``bank.neutral``; zero where there is no expression, no face or
        no resting face. Frames come in order, every one of a person or only some; the same one again changes nothing.
        """
        face, neutral = tracked.face, bank.neutral
        if face is None or neutral is None:
            return np.zeros((len(LOWER), 3), np.float32)
        if self._kept is None or self._kept[0] is not tracked or self._kept[1] is not neutral:
            self._kept = tracked, neutral, self._kept_from(tracked, bank, neutral)
        return self._kept[2]

    def _kept_from(self, tracked: TrackedFrame, bank: Bank, neutral: Points) -> Points:
        self.follow(tracked)
        plain = self._plain
        if plain is None or plain.neutral is not neutral:  # a bank learns all of it anew together
            plain = self._plain = _Plain.of(bank, neutral)
        talks = np.float32(self._talked) * plain.talks[0] + np.float32(self._opened) * plain.talks[1]
        moved = (self._sure(self._slow - plain.rest - talks) * plain.per_width) @ _MOVES
        return np.asarray(moved.reshape(-1, 3), np.float32)

    def _sure(self, apart: Floats) -> Floats:
        """What of it (8,) is no words. Lips go with a smile, corners not with the lips."""
        usual = SLOW_IN_SPEECH * self._usual * np.float32(QUIET + (1 - QUIET) * self._speaks)
        times = apart / usual
        corners = _ramp(_length(times[CORNERS_ONLY]), KEPT_FROM, KEPT_AT)
        lips = max(corners, _ramp(_length(times[LIPS_ONLY]), KEPT_FROM, KEPT_AT))
        return apart * np.array([corners] * 5 + [lips] * 3, np.float32)

    def follow(self, tracked: TrackedFrame) -> None:
        """One more look at the live face; behind a cut, or after a while without it, it begins anew."""
        if tracked is self._followed:
            return
        self._followed = tracked
        face, at_ns = tracked.face, tracked.frame.pts_ns
        assert face is not None
        opened = mean_lip_opening(face.canonical)
        seen, opening = freed(face.canonical, opened), float(opened)
        cheeks = -float(mean(face.canonical[_CHEEKS, 1]))
        turned = 1 + WITH_TURN * max(0.0, abs(float(face.pose.rotation[2, 0])) - TURNED)  # one half is guessed
        self._usual = turned * np.float32(max(1.0, self._unsure / UNSURE) ** 2)
        step_ns = at_ns - self._at_ns
        if tracked.shot != self._shot or not 0 <= step_ns <= AWAY_NS:
            self._shot, self._since_ns = tracked.shot, at_ns
            self._slow, self._stays, self._cheeks = seen, np.zeros_like(seen), cheeks
            self._notice_speed(0.0 if tracked.frame.still else SPEAKS_AT)  # whoever is seen first may be speaking
            self._talked, self._opened = self._speaks, self._speaks * opening
        elif step_ns > 0:
            speed = abs(opening - self._opening) * NS / step_ns
            self._notice_speed(self._speed + _part(step_ns, SPEAKS_NS) * (speed - self._speed))
            self._go_on(seen, opening, cheeks, step_ns)
            moved = float(mean(np.abs(seen - self._seen) / MOVES_USUALLY)) * math.sqrt(40 * MS / step_ns)
            self._unsure += _part(step_ns, MOVES_NS) * (moved - self._unsure)
        self._at_ns, self._opening, self._seen = at_ns, opening, seen

    def _notice_speed(self, speed: float) -> None:
        self._speed, self._speaks = speed, _ramp(speed, SPEAKS_FROM, SPEAKS_AT)

    def _go_on(self, seen: Floats, opening: float, cheeks: float, step_ns: int) -> None:
        away = seen - self._slow
        self._stays = self._stays + np.float32(_part(step_ns, STAYS_NS)) * (away - self._stays)
        stays = self._stays / self._usual
        begins = max(
            1 - self._speaks,
            _ramp(abs(cheeks - self._cheeks), CHEEKS_FROM, CHEEKS_AT),
            _ramp(_length(stays[CORNERS_ONLY] / STAYS_IN_SPEECH), BEGINS_FROM, BEGINS_AT),
        )
        # At the start all that was seen counts alike.
        slow_ns = min(SLOW_NS, max(QUICK_NS, self._at_ns - self._since_ns))
        part = _part(step_ns, slow_ns * (QUICK_NS / slow_ns) ** begins)
        self._slow = self._slow + np.float32(part) * away
        self._talked += part * (self._speaks - self._talked)
        self._opened += part * (self._speaks * opening - self._opened)
        self._cheeks += _part(step_ns, slow_ns) * (cheeks - self._cheeks)


def _nearest(bank: Bank, neutral: Points) -> Points:
    """The face with the lips as near as they come, which words start from too (``style.py``)."""
    nearest = bank.closed if bank.shut is None else bank.shut
    return neutral if nearest is None else nearest


def _length(values: Floats) -> float:
    return math.sqrt(float(values @ values))


def _ramp(value: float, low: float, high: float) -> float:
    """0 below ``low``, 1 above ``high``, smooth in between."""
    share = min(max((value - low) / (high - low), 0.0), 1.0)
    return share * share * (3 - 2 * share)


def _part(step_ns: int, constant_ns: float) -> float:
    """What a low-pass goes of its way in ``step_ns``."""
    return 1 - math.exp(-step_ns / constant_ns)
