"""The median picture of many: each pixel the weighted median of what the nearest frames show there.

Weights fall off with a Gaussian of the distance between mouth shapes. A median keeps edges where a mean blurs them.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from realtime_dub.media import Floats

SHARE = 0.9  # of the weight, that the best frames hold
UNIT = 255  # what all weights of a median come to, at most: whole numbers that a byte holds are added quickly
STEPS = 24  # of the bisection
NARROWEST, WIDEST = 1e-4, 10.0  # of the Gaussian, in units of the distances

Weights = npt.NDArray[np.uint8]


def width_for(distances: Floats, best: int) -> float:
    """The sigma at which the ``best`` least of ``distances`` (n,) hold ``SHARE`` of the weight.

    The widest there is where ``best`` are all that there are, or hold as much at any width.
    """
    ordered = np.sort(np.asarray(distances, np.float64))
    low, high = NARROWEST, WIDEST
    if len(ordered) <= best or _held(ordered, best, high) >= SHARE:
        return high
    for _ in range(STEPS):
        middle = (low * high) ** 0.5
        low, high = (middle, high) if _held(ordered, best, middle) >= SHARE else (low, middle)
    return low


def _held(ordered: npt.NDArray[np.float64], best: int, sigma: float) -> float:
    """The share of the ``best`` first. It falls as ``sigma`` grows."""
    weights = np.exp(-0.5 * ((ordered**2 - ordered[0] ** 2) / sigma**2))
    return float(weights[:best].sum() / weights.sum())


def shares_of(distances: Floats, best: int) -> npt.NDArray[np.float64]:
    """The frames' shares of the weight (n,); the nearest has the greatest."""
    sigma = width_for(distances, best)
    squared = np.asarray(distances, np.float64) ** 2
    gaussian = np.exp(-0.5 * (squared - squared.min()) / sigma**2)
    return np.asarray(gaussian / gaussian.sum())


def whole(shares: npt.NDArray[np.float64]) -> Weights:
    """Shares (n,) as whole weights that come to ``UNIT`` or less. The greatest has some of it always."""
    weights = np.floor(shares * (UNIT / shares.sum())).astype(np.uint8)
    weights[shares.argmax()] = max(1, weights[shares.argmax()])
    return np.asarray(weights, np.uint8)


def weighted_median(images: npt.NDArray[np.uint8], weights: Weights) -> npt.NDArray[np.uint8]:
    """Of ``images`` (n, ...) the lower weighted median of each value: the least that half of the weight is not above.

    A level is found bit by bit: it grows as long as less than half of the weight lies below it. That is eight passes
    over all values, where sorting them would take a hundred.
    """
    used = np.flatnonzero(weights)
    flat = np.ascontiguousarray(images[used]).reshape(len(used), -1)
    each = weights[used][:, None]
    most = np.uint8((int(weights.sum()) - 1) // 2)  # that may lie below a level
    level = np.zeros(flat.shape[1], np.uint8)
    for bit in (128, 64, 32, 16, 8, 4, 2, 1):
        trial = level | np.uint8(bit)
        below = (flat < trial).view(np.uint8)
        below *= each
        level = np.where(np.add.reduce(below, 0, dtype=np.uint8) <= most, trial, level)
    return level.reshape(images.shape[1:])
