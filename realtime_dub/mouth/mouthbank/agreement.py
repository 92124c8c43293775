"""Whether a mouth and a voice belong together.

A mouth that speaks a voice opens when that voice has it open: the opening that is seen follows the one that the motion
net makes of the voice. Another's voice is followed by nothing; a mouth that stays shut under a voice does not speak it.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from realtime_dub.face.landmarks import mean
from realtime_dub.media import Floats

WINDOW = 200  # frames of speech that agreement is told by: 8 s at 25 per second
LEAST = 50  # of them before anything is believed
STILL = 0.02  # mouth widths: standard deviation of an opening that does not speak


class Agreement:
    """Of a mouth and a voice that go on: by the last ``window`` frames, and not by fewer than ``least``."""

    def __init__(self, window: int = WINDOW, least: int = LEAST) -> None:
        self._pairs: deque[tuple[float, float]] = deque(maxlen=window)
        self._least = least

    def __len__(self) -> int:
        return len(self._pairs)

    def add(self, seen: float, foretold: float) -> None:
        self._pairs.append((seen, foretold))

    @property
    def r(self) -> float | None:
        """None while too little was seen."""
        if len(self._pairs) < self._least:
            return None
        seen, foretold = np.array(self._pairs, np.float32).reshape(-1, 2).T
        return agreement_of(seen, foretold, least=self._least)

    def forget(self) -> None:
        self._pairs.clear()


def agreement_of(seen: Floats, foretold: Floats, lags: int = 0, least: int = LEAST) -> float | None:
    """Correlation of two openings (n,), NaN where unknown, at the best of so many ``lags`` to either side.

    None where fewer than ``least`` are known of both.
    """
    each = [_correlation(*_shifted(seen, foretold, lag), least) for lag in range(-lags, lags + 1)]
    return max((r for r in each if r is not None), default=None)


def _shifted(first: Floats, second: Floats, lag: int) -> tuple[Floats, Floats]:
    return first[max(0, lag) : len(first) + min(0, lag)], second[max(0, -lag) : len(second) + min(0, -lag)]


def _correlation(first: Floats, second: Floats, least: int) -> float | None:
    """0 where the first, which was seen, hardly moves."""
    both = np.isfinite(first) & np.isfinite(second)
    if np.count_nonzero(both) < least:
        return None
    first, second = _centred(first[both]), _centred(second[both])
    spread = float(np.sqrt(mean(first * first) * mean(second * second)))
    still = _centred(first)  # as NumPy's ``std`` has it
    moves = np.sqrt(mean(still * still)) >= STILL
    return float(mean(first * second)) / spread if moves and spread > 0 else 0.0


def _centred(values: Floats) -> Floats:
    return np.asarray(values - mean(values), np.float32)
