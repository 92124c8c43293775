"""Causal One-Euro smoothing (Casiez, Roussel, Vogel 2012): steady at rest, quick in motion."""

from __future__ import annotations

import math

import numpy as np

from realtime_dub.face.types import Points
from realtime_dub.media import NS


class OneEuro:
    """Smooths points (n, 3) in any unit divided by ``unit``; speeds are in units per second.

    The lag it adds to a movement of speed v is 1 / (2 pi (min_cutoff_hz + beta * v)): with the values that the tracker
    uses, 20 ms for a drift of the head and under 4 ms for lips in speech.
    """

    def __init__(self, min_cutoff_hz: float, beta: float, speed_cutoff_hz: float = 10.0) -> None:
        self._min_cutoff_hz = min_cutoff_hz
        self._beta = beta
        self._speed_cutoff_hz = speed_cutoff_hz
        self._value: Points | None = None
        self._speed: Points | None = None
        self._at_ns = 0

    def reset(self) -> None:
        """Forget the past: the next value passes unchanged."""
        self._value = self._speed = None

    def __call__(self, points: Points, at_ns: int, unit: float = 1.0) -> Points:
        """The smoothed points at ``at_ns``."""
        step_s = (at_ns - self._at_ns) / NS
        if self._value is None or self._speed is None or step_s <= 0:
            self._value, self._speed, self._at_ns = points.copy(), np.zeros_like(points), at_ns
            return self._value
        speed = (points - self._value) / np.float32(step_s * unit)
        speed -= self._speed
        speed *= np.float32(_weight(self._speed_cutoff_hz, step_s))
        self._speed += speed
        cutoff = np.sqrt(np.add.reduce(self._speed * self._speed, 1, keepdims=True))
        cutoff *= np.float32(self._beta)
        cutoff += np.float32(self._min_cutoff_hz)
        weight = 1.0 / (1.0 + 1.0 / (2 * math.pi * cutoff * step_s))
        self._value = self._value + weight * (points - self._value)
        self._at_ns = at_ns
        return self._value


def _weight(cutoff_hz: float, step_s: float) -> float:
    return 1.0 / (1.0 + 1.0 / (2 * math.pi * cutoff_hz * step_s))
