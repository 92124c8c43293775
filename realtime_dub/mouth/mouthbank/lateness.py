"""How much later a mouth is seen than its voice is heard.

A camera hands a picture over later than it was taken, often by 30 to 150 ms; a microphone without a wire is late
itself, and many a film is out of step. None of them tells. What is learnt of a mouth beside the wrong instant of its
voice does harm: 80 ms took r from 0.91 to 0.86, where it is 0.93 with none (``dev-log.md``).

The opening that is seen is compared with that which the motion net makes of the voice some time before or after. With
``r`` at each time, so many independent looks, and how late things usually are, follows how sure each time is. Another's
voice follows at none, so that nothing is sure then.
"""

from __future__ import annotations

import numpy as np

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

_PRIOR = -0.5 * (LATE_NS / USUALLY_NS) ** 2


class Lateness:
    """Of one person's picture and voice. A few numbers of state. Not thread-safe."""

    def __init__(self) -> None:
        self.ns: int | None = None  # None while it is not sure; negative: the voice is the later one
        self.unsure = False  # and for long: in step, as far as can be told
        self._at_ns: int | None = None
        self._spoken_ns = 0.0
        self._frames = 0
        # Weighted sums over frames: of one, the seen opening, its square; the voice's, their squares, both.
        self._seen = np.zeros(3)
        self._heard = np.zeros((3, len(LATE_NS)))

    def see(self, at_ns: int, seen: float, heard: Floats) -> None:
        """A frame with speech in it: the mouth's opening, and the voice's at ``at_ns - LATE_NS``, mouth widths."""
        step_ns = STEP_NS if self._at_ns is None else min(max(at_ns - self._at_ns, 0), STEP_NS)
        self._at_ns = at_ns
        stays = np.exp(-step_ns / MEMORY_NS)
        self._spoken_ns = stays * self._spoken_ns + step_ns
        self._seen = stays * self._seen + (1.0, seen, seen * seen)
        self._heard *= stays
        self._heard += (heard, heard * heard, seen * heard)
        self._frames += 1
        if self._frames % ASKED_EVERY == 0:
            self._ask()

    def likely_ns(self) -> int | None:
        """By all there was, less surely: in step where nothing else is plain. None where nothing can be said."""
        if self._spoken_ns <= 0:
            return None
        late_ns, spread_ns = self._estimate()
        if spread_ns > LIKELY_NS:
            return None
        return round(late_ns) if _plain(late_ns, spread_ns) else 0

    def _ask(self) -> None:
        """What was sure stays until something else is."""
        late_ns, spread_ns = self._estimate()
        if spread_ns > SURE_NS:
            self.unsure = self.ns is None and self._spoken_ns > UNSURE_NS
            return
        if abs(late_ns) <= IN_STEP_NS:
            self.ns = 0
        elif _plain(late_ns, spread_ns):
            self.ns = round(late_ns)

    def _estimate(self) -> tuple[float, float]:
        """Mean and spread of what is to be believed, ns."""
        looks = LOOKS_A_SECOND * self._spoken_ns / NS
        sure = _PRIOR - 0.5 * looks * np.log(1 - np.clip(self._r(), 0, MOST_R) ** 2)
        share = np.exp(sure - sure.max())
        share /= share.sum()
        mean = float(share @ LATE_NS)
        return mean, float(np.sqrt(share @ (LATE_NS - mean) ** 2))

    def _r(self) -> Floats:
        """Correlation at each of ``LATE_NS``."""
        count, seen, squares = self._seen
        heard, heard_squares, both = self._heard
        spread = (squares - seen**2 / count) * (heard_squares - heard**2 / count)
        return np.asarray((both - seen * heard / count) / np.sqrt(np.maximum(spread, 1e-12)))


def _plain(late_ns: float, spread_ns: float) -> bool:
    """Out of step beyond doubt."""
    return abs(late_ns) > max(IN_STEP_NS, PLAIN * spread_ns)
