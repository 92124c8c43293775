"""Whether somebody speaks, where no network says it: by how much louder it is than the quiet of the place."""

from __future__ import annotations

import numpy as np

from realtime_dub.media import Floats, ns_to_samples
from realtime_dub.mouth.contract import VOICE_RATE


class Loudness:
    """Tells speech from the quiet around it by its level, in steps of 10 ms."""

    STEP = VOICE_RATE // 100  # samples
    LENGTH = 15_000  # steps that are remembered: as many as windows
    LEAST_DB, ABOVE_DB = -52.0, 10.0  # of full scale; above the quiet of the place
    RISES_DB = 0.03  # the quiet may become louder by so much in a step
    BEFORE, AFTER = 3, 5  # steps around an instant

    def __init__(self) -> None:
        self._speech = np.zeros(self.LENGTH, np.bool_)
        self.reset()

    def reset(self) -> None:
        self._rest = np.zeros(0, np.float32)
        self._count, self._quiet_db = 0, self.LEAST_DB

    def hear(self, samples: Floats) -> None:
        heard = np.concatenate([self._rest, np.asarray(samples, np.float32)])
        steps = len(heard) // self.STEP
        self._rest = heard[steps * self.STEP :]
        blocks = heard[: steps * self.STEP].reshape(steps, self.STEP).astype(np.float64)
        for level in 10 * np.log10((blocks**2).mean(1) + 1e-12):
            self._quiet_db = min(float(level), self._quiet_db + self.RISES_DB)
            self._speech[self._count % self.LENGTH] = level > max(self.LEAST_DB, self._quiet_db + self.ABOVE_DB)
            self._count += 1

    def speaks(self, since_ns: int) -> bool:
        """``since_ns``: from the first sample."""
        at = ns_to_samples(since_ns, VOICE_RATE) // self.STEP
        first, end = max(at - self.BEFORE, 0, self._count - self.LENGTH), min(at + self.AFTER + 1, self._count)
        return first < end and bool(self._speech[np.arange(first, end) % self.LENGTH].any())
