"""When an avatar blinks, and how far the eyes are shut: lengths and pauses are drawn from the recorded ones."""

from __future__ import annotations

import numpy as np

from realtime_dub.face.types import Points
from realtime_dub.media import NS, Floats

__all__ = ["Blinks", "shut", "with_lids"]

CLOSING, CLOSED = 0.3, 0.45  # shares of a blink after which the eye is shut, and opens again
KEPT_S = 10.0  # of blinks that are over


class Blinks:
    """One person's, the same for the same seed. Time begins at 0."""

    def __init__(self, gaps_s: Floats, lengths_s: Floats, seed: int = 0) -> None:
        self._gaps_s, self._lengths_s = gaps_s, lengths_s
        self._rng = np.random.default_rng([seed, 0xB11])
        self._planned: list[tuple[float, float]] = []  # begin, length
        self._next_s = float(self._rng.random() * gaps_s.mean())

    def closed(self, ns: int) -> float:
        """How far the eyes are shut, 0..1."""
        now_s = ns / NS
        self._plan(now_s)
        return max((shut((now_s - begin) / length) for begin, length in self._planned), default=0.0)

    def _plan(self, now_s: float) -> None:
        while self._next_s <= now_s:
            length, gap = (float(self._rng.choice(each)) for each in (self._lengths_s, self._gaps_s))
            self._planned.append((self._next_s, length))
            self._next_s += max(gap, length)
        if self._planned and self._planned[0][0] < now_s - KEPT_S:
            self._planned = [each for each in self._planned if each[0] >= now_s - KEPT_S]


def shut(share: float) -> float:
    """How far an eye is shut when so much of a blink is over: quickly down, slowly up."""
    return float(np.interp(share, _AT, _SHUT))


def with_lids(face: Points, lids: Points, closed: float) -> Points:
    """The face (478, 3) with its eyes so far shut."""
    return face if closed == 0 else face + np.float32(closed) * lids


def _curve() -> tuple[Floats, Floats]:
    at = np.linspace(0, 1, 101)
    down = 0.5 - 0.5 * np.cos(np.pi * np.clip(at / CLOSING, 0, 1))
    up = 0.5 + 0.5 * np.cos(np.pi * np.clip((at - CLOSED) / (1 - CLOSED), 0, 1))
    return at.astype(np.float32), np.minimum(down, up).astype(np.float32)


_AT, _SHUT = _curve()
