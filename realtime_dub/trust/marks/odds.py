"""How sure a correlation is: a bound on false alarms that holds for any content.

For content that knows nothing of the key, the phase ``t`` of each of its waves against the key's is uniform.
So ``z = sum(w cos t) / sqrt(sum(w^2) / 2)`` has, for any loudnesses ``w`` that do not depend on the key,
``P(z >= x) <= exp(-x^2 / 2)``: the moment generating function of ``cos t`` is the Bessel function
``I0(s) <= exp(s^2 / 4)`` (Chernoff's bound; Hoeffding 1963). Whatever is tried in a minute adds up (the union bound).
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

FALSE_PER_MINUTE = 1e-6  # of picture and sound together
WINDOW_S, HOP_S = 5.0, 2.5
PER_MINUTE = 60 / HOP_S


def threshold(tests: int) -> float:
    """The z from which ``tests`` trials a window err less than half of FALSE_PER_MINUTE times in a minute."""
    return math.sqrt(2 * math.log(2 * tests * PER_MINUTE / FALSE_PER_MINUTE))


def false_per_minute(z: float, tests: int) -> float:
    """At most so often a minute unmarked content gives ``z`` or more."""
    return float(tests * PER_MINUTE * math.exp(-(max(z, 0.0) ** 2) / 2))


def surety(correlation: float, loudness: npt.NDArray[np.float64]) -> float:
    """z of a ``correlation`` with waves whose phases a key chose, of ``loudness`` (n,) in what was looked at."""
    return correlation / max(math.sqrt(float(loudness @ loudness) / 2), 1e-12)


def codeword_threshold(bits: int) -> float:
    """The z from which the best of all words of ``bits`` bits is as sure as a mark that is found."""
    return math.sqrt(2 * (bits * math.log(2) + math.log(PER_MINUTE / FALSE_PER_MINUTE)))
