"""Whether somebody speaks, where no network says it: by how much louder it is than the quiet of the place."""

from __future__ import annotations

from collections import deque

import numpy as np

from realtime_dub.media import Floats, ns_to_samples
from realtime_dub.mouth.contract import VOICE_RATE


class Loudness:
    """Tells speech from the quiet around it by its level, in steps of 10 ms.

    The quiet is the least that a few steps in a row stayed below, of the last second and a half (Martin 2001): a single
    one without any sound, as codecs begin with, says nothing of the place, and a pause of a file soon no more.
    """

    STEP = VOICE_RATE // 100  # samples
    LENGTH = 15_000  # steps that are remembered: as many as windows
    LEAST_DB, ABOVE_DB = -52.0, 10.0  # of full scale; above the quiet of the place
    ROOM_DB, MOST_DB = -42.0, -30.0  # the quiet that is expected before any was heard; the loudest that is one
    ROW, WINDOW = 5, 150  # steps
    BEFORE, AFTER = 3, 5  # steps around an instant
    LOUD = 3  # of these have to be: a click is no voice

    def __init__(self) -> None:
        self._speech = np.zeros(self.LENGTH, np.bool_)
        self.reset()

    def reset(self) -> None:
        self._rest = np.zeros(0, np.float32)
        self._count = 0
        self._levels = deque([0.0] * self.ROW, self.ROW)  # before the first nothing is known to be quiet
        self._quiets = deque([self.ROOM_DB], self.WINDOW)

    def hear(self, samples: Floats) -> None:
        heard = np.concatenate([self._rest, np.asarray(samples, np.float32)])
        steps = len(heard) // self.STEP
        self._rest = heard[steps * self.STEP :]
        blocks = heard[: steps * self.STEP].reshape(steps, self.STEP).astype(np.float64)
        for level in 10 * np.log10((blocks**2).mean(1) + 1e-12):
            self._step(float(level))

    def _step(self, level: float) -> None:
        self._levels.append(level)
        self._quiets.append(max(self._levels))
        quiet = min(self.MOST_DB, *self._quiets)
        self._speech[self._count % self.LENGTH] = level > max(self.LEAST_DB, quiet + self.ABOVE_DB)
        self._count += 1

    def speaks(self, since_ns: int) -> bool:
        """``since_ns``: from the first sample."""
        at = ns_to_samples(since_ns, VOICE_RATE) // self.STEP
        first, end = max(at - self.BEFORE, 0, self._count - self.LENGTH), min(at + self.AFTER + 1, self._count)
        return int(self._speech[np.arange(first, end) % self.LENGTH].sum()) >= self.LOUD
