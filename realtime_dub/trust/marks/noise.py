"""The mark of a voice: a noise that repeats each half second, between 1 and 7.2 kHz, in four bands."""

from __future__ import annotations

import itertools
from functools import cache

import numpy as np
import numpy.typing as npt

from realtime_dub.trust.marks.payload import Payload
from realtime_dub.trust.marks.waves import KEY, Waves

PER_SECOND = 2  # repetitions, so the step of the waves' frequencies in Hz
BORDERS = (1000, 1800, 3000, 4500, 7200)  # of the bands, Hz
TOP = 0.46  # of the rate: higher waves are left out

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]


@cache
def numbers() -> Ints:
    """(n,) the waves' frequencies in steps of PER_SECOND."""
    return np.arange(BORDERS[0] // PER_SECOND, BORDERS[-1] // PER_SECOND)


@cache
def waves(key: str = KEY) -> Waves:
    return Waves.of(len(numbers()), "sound", key)


def bands(payload: Payload, rate: int, key: str = KEY) -> Floats:
    """(4, rate / 2): half a second of each band at a ``rate``, of deviation 1; 0 where the rate has none of it.

    A rate that is odd makes the waves by 1 / (2 rate) slower or faster, which what finds them allows for.
    """
    size = rate // PER_SECOND
    carried, each = waves(key).carry(payload), numbers()
    made = np.zeros((len(BORDERS) - 1, size), np.float32)
    for band, (low, high) in enumerate(itertools.pairwise(BORDERS)):
        chosen = (each >= low // PER_SECOND) & (each < high // PER_SECOND) & (each < TOP * size)
        spectrum = np.zeros(size // 2 + 1, np.complex128)
        spectrum[each[chosen]] = carried[chosen]
        wave = np.fft.irfft(spectrum, size)
        made[band] = wave / max(float(wave.std()), 1e-12)
    return made
