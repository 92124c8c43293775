"""How much later a mouth is seen than its voice is heard.

A camera hands a picture over later than it was taken, often by 30 to 150 ms; a microphone without a wire is late
itself, and many a film is out of step. None of them tells. What is learnt of a mouth beside the wrong instant of its
voice does harm: 80 ms took r from 0.91 to 0.86, where it is 0.93 with none (``dev-log.md``).

The opening that is seen is compared with that which the motion net makes of the voice some time before or after. With
``r`` at each time, so many independent looks, and how late things usually are, follows how sure each time is. Another's
voice follows at none, so that nothing is sure then.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from realtime_dub.media import MS, NS, Floats

LATE_NS = np.arange(-320, 321, 20) * MS  # of the mouth, that are compared
MOST_NS = int(LATE_NS[-1])
USUALLY_NS = 100 * MS  # spread of what is to be expected
LOOKS_A_SECOND = 3.75  # of speech, that are independent of one another: so the estimate is as far off as it says
MEMORY_NS = 60 * NS  # of speech
SURE_NS = 45 * MS  # spread of an estimate from which on there is one,
LIKELY_NS = 60 * MS  # and where no more comes
UNSURE_NS = 20 * NS  # of speech without one: the net may know this person's mouth too little to tell
IN_STEP_NS = 25 * MS  # what is off by less is a person's own way to move; so is what may be none, by
PLAIN = 2  # of its spreads
STEP_NS = 100 * MS  # of speech, at most, between two frames that follow one another
ASKED_EVERY = 5  # frames
MOST_R = 0.98  # that is believed: no pair of mouths is alike


class Estimate(NamedTuple):
    """How late a mouth is seen, ns, how far off that may be, and how a mouth and a voice so late correlate."""

    late_ns: float
    spread_ns: float
    r: float


class Lateness:
    """Of one person's picture and voice. A few numbers of state. Not thread-safe.

    ``late_ns`` (n,): by how much a mouth may be late, evenly, as it is compared.
    """

    def __init__(self, late_ns: npt.NDArray[np.int64] = LATE_NS) -> None:
        self.ns: int | None = None  # None while it is not sure; negative: the voice is the later one
        self.unsure = False  # and for long: in step, as far as can be told
        self.spoken_ns = 0.0  # of speech that counts
        self._late_ns, self._prior = late_ns, -0.5 * (late_ns / USUALLY_NS) ** 2
        self._at_ns: int | None = None
        self._frames = 0
        # Weighted sums over frames: of one, the seen opening, its square; the voice's, their squares, both.
        self._seen = np.zeros(3)
        self._heard = np.zeros((3, len(late_ns)))

    def see(self, at_ns: int, seen: float, heard: Floats) -> None:
        """A frame with speech in it: the mouth's opening, and the voice's so much earlier (n,), mouth widths.

        What is no number says nothing.
        """
        if not (math.isfinite(seen) and np.isfinite(heard).all()):
            return
        step_ns = STEP_NS if self._at_ns is None else min(max(at_ns - self._at_ns, 0), STEP_NS)
        self._at_ns = at_ns
        stays = np.exp(-step_ns / MEMORY_NS)
        self.spoken_ns = stays * self.spoken_ns + step_ns
        self._seen = stays * self._seen + (1.0, seen, seen * seen)
        self._heard *= stays
        self._heard += (heard, heard * heard, seen * heard)
        self._frames += 1
        if self._frames % ASKED_EVERY == 0:
            self._ask()

    def likely_ns(self) -> int | None:
        """By all there was, less surely: in step where nothing else is plain. None where nothing can be said."""
        if self.spoken_ns <= 0:
            return None
        known = self.estimate()
        if known.spread_ns > LIKELY_NS:
            return None
        return round(known.late_ns) if _plain(known) else 0

    def _ask(self) -> None:
        """What was sure stays until something else is."""
        known = self.estimate()
        if known.spread_ns > SURE_NS:
            self.unsure = self.ns is None and self.spoken_ns > UNSURE_NS
        elif abs(known.late_ns) <= IN_STEP_NS:
            self.ns = 0
        elif _plain(known):
            self.ns = round(known.late_ns)

    def estimate(self) -> Estimate:
        """What is to be believed by now."""
        r = self._r()
        looks = LOOKS_A_SECOND * self.spoken_ns / NS
        sure = self._prior - 0.5 * looks * np.log(1 - np.clip(r, 0, MOST_R) ** 2)
        share = np.exp(sure - sure.max())
        share /= share.sum()
        late_ns = float(share @ self._late_ns)
        spread_ns = float(np.sqrt(share @ (self._late_ns - late_ns) ** 2))
        return Estimate(late_ns, spread_ns, float(np.interp(late_ns, self._late_ns, r)))

    def _r(self) -> Floats:
        """Correlation at each lateness (n,)."""
        count, seen, squares = self._seen
        heard, heard_squares, both = self._heard
        spread = (squares - seen**2 / count) * (heard_squares - heard**2 / count)
        return np.asarray((both - seen * heard / count) / np.sqrt(np.maximum(spread, 1e-12)))


def _plain(known: Estimate) -> bool:
    """Out of step beyond doubt."""
    return abs(known.late_ns) > max(IN_STEP_NS, PLAIN * known.spread_ns)
