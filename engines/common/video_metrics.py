"""How well a rendered mouth follows the true one: landmarks against landmarks, pixels against pixels. NumPy only.

Landmarks are canonical shapes ``(T, 478, 3)`` in mouth widths, one per frame, tracked afresh in the true and in the
rendered video (see ``realtime_dub.face.alignment``). A frame without a face is a row of NaN and counts nowhere.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from realtime_dub.face.landmarks import LIPS, mean_lip_opening

Array = npt.NDArray[np.float32] | npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

MIN_PAIRS = 3  # a correlation of fewer frames says nothing


class Agreement(NamedTuple):
    """Correlation of two curves. ``best_lag`` in frames: above zero, the second comes late by so many."""

    r_at_0: float
    best_lag: int
    r_best: float


def lip_opening(canonical: Array) -> Array:
    """Mean distance (T,) of the inner lips over their middle, in mouth widths."""
    return mean_lip_opening(np.asarray(canonical, np.float32))


def correlation(truth: Array, test: Array) -> float:
    """Pearson's r of two curves (T,), frames with NaN in either left out; 0 where one of them stands still."""
    known = np.isfinite(truth) & np.isfinite(test)
    if known.sum() < MIN_PAIRS:
        return 0.0
    a = truth[known].astype(np.float64) - truth[known].mean(dtype=np.float64)
    b = test[known].astype(np.float64) - test[known].mean(dtype=np.float64)
    energy = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / energy if energy > 1e-12 else 0.0


def correlation_and_lag(truth: Array, test: Array, max_lag: int = 10) -> Agreement:
    """How two curves (T,) agree in step, and at which shift within ``max_lag`` frames they agree best."""
    reach = min(max_lag, len(truth) - MIN_PAIRS)
    by_lag = {lag: correlation(*_shifted(truth, test, lag)) for lag in range(-reach, reach + 1)}
    # Of equal values the smallest shift wins.
    best = max(by_lag, key=lambda lag: (by_lag[lag], -abs(lag)), default=0)
    return Agreement(by_lag.get(0, 0.0), best, by_lag.get(best, 0.0))


def _shifted(truth: Array, test: Array, lag: int) -> tuple[Array, Array]:
    """The parts that overlap when ``test`` comes ``lag`` frames late."""
    return (truth[: len(truth) - lag], test[lag:]) if lag >= 0 else (truth[-lag:], test[:lag])


def landmark_distance(truth: Array, test: Array, axes: int = 2) -> float:
    """Mean distance of the lip points over frames and points, mouth widths; NaN where no frame has a face in both.

    In the plane of the face: the depth (``axes=3``) is the tracker's guess from one picture.
    """
    return _mean(np.linalg.norm((truth - test)[:, LIPS, :axes], axis=-1))


def mean_shape_distance(truth: Array, axes: int = 2) -> float:
    """What a mouth frozen in the clip's mean shape would score: the bar that :func:`landmark_distance` must pass."""
    known = truth[np.isfinite(truth).all((1, 2))]
    return landmark_distance(known, known.mean(0, keepdims=True), axes) if len(known) else float("nan")


def jitter(canonical: Array, where: Bools | None = None) -> float:
    """Trembling of the lips: root mean square of the second difference over lip points, mouth widths per frame².

    ``where`` (T,) chooses frames, those without speech as a rule: there the true lips rest. A second difference counts
    if all three of its frames are chosen. NaN where none is.
    """
    lips = canonical[:, LIPS]
    energy = (np.diff(lips, 2, axis=0) ** 2).sum(-1)
    if where is not None:
        energy = energy[where[:-2] & where[1:-1] & where[2:]]
    return float(np.sqrt(_mean(energy)))


def speed(canonical: Array, where: Bools) -> float:
    """Mean speed of the lip points, mouth widths per frame, over pairs of chosen frames; NaN without any."""
    steps = np.linalg.norm(np.diff(canonical[:, LIPS, :2], axis=0), axis=-1)
    return _mean(steps[where[:-1] & where[1:]])


def outside_difference(source: npt.NDArray[np.uint8], result: npt.NDArray[np.uint8], mask: Bools) -> int:
    """Pixels outside ``mask`` (H, W) in which two pictures (H, W, 3) differ at all. A good composite leaves none."""
    return int(((source != result).any(-1) & ~mask).sum())


def _mean(values: Array) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean(dtype=np.float64)) if known.size else float("nan")
