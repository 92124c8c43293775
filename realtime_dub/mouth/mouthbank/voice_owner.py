"""Whose voice it is: the person's in the picture, or another's.

While a voice is heard, the opening of the live mouth is compared with that of the mouth that the motion net makes of
the voice. Two questions are asked. Is there one time by which the mouth is later than the voice, and at which they go
together (``lateness.py``)? Another's voice has none. And do they go together as well as they did before, there? How
well differs from person to person: the net foretells some mouths with r 0.9, and those of many who talk freely with
0.4. Silence says nothing: who chews, or whispers to somebody, has no voice to be compared with.
"""

from __future__ import annotations

import math

import numpy as np

from realtime_dub.media import MS, NS, Floats
from realtime_dub.mouth.mouthbank.agreement import agreement_of
from realtime_dub.mouth.mouthbank.lateness import LOOKS_A_SECOND, SURE_NS, Estimate, Lateness

STEP_NS = 40 * MS  # between two places of the memory
MOST_LATE = 8  # places to either side that a mouth may be late by
SPAN, LEAST = 750 + MOST_LATE, 200  # places that are compared at most, and of a mouth that the net knows well
SPOKEN = 40  # places with a voice in them, among the last LEAST, below which nothing is said
SEEN = 125  # places with a face, below which nothing is said
FIRST_NS = 6 * NS  # of speech, before which nothing is said of a mouth that nobody knows
VOICED = 0.5  # probability of speech
EVERY_NS = NS // 2  # between two comparisons
LEAST_R, MOST_R = 0.35, 0.95  # that a mouth's own voice is taken to have with it
KNOWN_WELL = 0.55  # r from which on LEAST places are enough
FORGETS = 0.995  # of how well they went together, at each comparison
VARIES = 0.1  # spread of r from one stretch to the next, as Fisher's z
UNSURE_NS, ANY_NS, AGAINST = 65 * MS, 20 * MS, 3.0  # a spread of the lateness that says nothing; so much more: against
MOST_S = 12.0  # over which a comparison counts once
BEGINS, MOST, CHANGES = 2.0, 3.0, 1.0  # conviction: at first, at most, and from which on the mind is changed
_LATE = np.arange(-MOST_LATE, MOST_LATE + 1)


class VoiceOwner:
    """Watches the live mouth under a voice. Begins with the person's own."""

    def __init__(self) -> None:
        self.own = True
        self.later = False  # a comparison waits for :meth:`catch_up`, or for the next one; may be changed
        self._conviction = BEGINS  # log of how much likelier it is the person's than another's
        self._lateness = Lateness(_LATE * STEP_NS)
        self._r: float | None = None  # of the person's own voice, at its time
        self.forget()

    def forget(self) -> None:
        """Another person is in the picture: what was seen holds no more; the conviction stays until there is more."""
        self._opened = np.full(SPAN, np.nan, np.float32)  # the live mouth, mouth widths
        self._spoken = np.full(SPAN, np.nan, np.float32)  # the mouth of the voice
        self._voiced = np.zeros(SPAN, np.bool_)
        self._place: int | None = None
        self._compared_ns: int | None = None
        self._waits: tuple[Floats, Floats, Estimate] | None = None  # openings to be compared, and how late they are
        self._r = None

    def see(self, at_ns: int, opened: float, spoken: float, speech: float) -> None:
        """At a rising instant: opening of the live mouth and of the voice's, mouth widths; probability of speech."""
        place = at_ns // STEP_NS
        self._move_to(place, spoken)
        here = place % SPAN
        self._opened[here], self._spoken[here], self._voiced[here] = opened, spoken, speech > VOICED
        self._compare_times(place)
        if self._compared_ns is None:
            self._compared_ns = at_ns
        elif at_ns - self._compared_ns >= EVERY_NS:
            self._compared_ns = at_ns
            self.catch_up()  # there was no time for the one before
            self._put_off(place)
        if not self.later:
            self.catch_up()

    def _move_to(self, place: int, spoken: float) -> None:
        """In places that were left out nothing was seen; the voice goes from what it was to what it is."""
        if self._place is None or not 0 <= place - self._place < SPAN:
            self.forget()
        elif (left_out := place - self._place - 1) > 0:
            skipped = np.arange(self._place + 1, place) % SPAN
            self._opened[skipped], self._voiced[skipped] = np.nan, False
            between = np.linspace(self._spoken[self._place % SPAN], spoken, left_out + 2)[1:-1]
            self._spoken[skipped] = between if left_out <= MOST_LATE else np.nan
        self._place = place

    def _compare_times(self, place: int) -> None:
        """The mouth that lies so far back that all of what may belong to it was heard."""
        around = (place - MOST_LATE - _LATE) % SPAN  # the voice, from the earliest that the mouth may be to the latest
        opened, spoken = float(self._opened[(place - MOST_LATE) % SPAN]), self._spoken[around]
        if self._voiced[around].any():
            self._lateness.see((place - MOST_LATE) * STEP_NS, opened, spoken)

    def _put_off(self, place: int) -> None:
        order = np.arange(place - SPAN + 1, place + 1) % SPAN
        if not self._lateness.spoken_ns or np.count_nonzero(self._voiced[order[-LEAST:]]) < SPOKEN:
            return
        known = self._lateness.estimate()
        if self._r is not None or known.spread_ns <= SURE_NS or self._lateness.spoken_ns >= FIRST_NS:
            self._waits = self._opened[order], self._spoken[order], known

    def catch_up(self) -> None:
        """Make up the mind by what waits, if something does."""
        if self._waits is not None:
            waits, self._waits = self._waits, None
            self._compare(*waits)

    def _compare(self, opened: Floats, spoken: Floats, known: Estimate) -> None:
        if np.count_nonzero(np.isfinite(opened[-LEAST:])) < SEEN:
            return
        if known.spread_ns <= SURE_NS:
            self._r = known.r if self._r is None else max(known.r, FORGETS * self._r)
        usual = min(max(self._r or 0.0, LEAST_R), MOST_R)
        count = min(round(LEAST * max(1.0, (KNOWN_WELL / usual) ** 2)), SPAN - MOST_LATE)
        said, seconds = self._said(opened, spoken, usual, count, known)
        self._conviction += said * EVERY_NS / NS / min(seconds, MOST_S)
        self._conviction = min(max(self._conviction, -MOST), MOST)
        if abs(self._conviction) > CHANGES:
            self.own = self._conviction > 0

    def _said(self, opened: Floats, spoken: Floats, usual: float, count: int, known: Estimate) -> tuple[float, float]:
        """How much likelier the last ``count`` places are with the person's own voice, as a logarithm; their length."""
        late = (self._lateness.ns if self._lateness.ns is not None else known.late_ns) / STEP_NS
        live, voice = _so_late(opened[-count:], spoken[-count:], round(late))
        seen = np.isfinite(live) & np.isfinite(voice)
        seconds = max(np.count_nonzero(seen), LEAST) * STEP_NS / NS
        r = min(max(agreement_of(live, voice, least=SEEN // 2) or 0.0, -MOST_R), MOST_R)
        spread = 1 / max(LOOKS_A_SECOND * seconds - 3, 3) + VARIES**2
        z, own = math.atanh(r), math.atanh(usual)
        said = (max(z, 0.0) ** 2 - min(z - own, 0.0) ** 2) / (2 * spread)  # another's has an r of 0
        if self._r is None:  # no time has stood out yet
            said -= AGAINST * min(max((known.spread_ns - UNSURE_NS) / ANY_NS, -0.3), 1.0)
        return said, seconds


def _so_late(opened: Floats, spoken: Floats, late: int) -> tuple[Floats, Floats]:
    """The mouth beside the voice so many places earlier."""
    if late >= 0:
        return opened[late:], spoken[: len(spoken) - late]
    return opened[:late], spoken[-late:]
