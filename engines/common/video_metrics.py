"""How well a rendered mouth follows the true one: landmarks against landmarks, pixels against pixels. NumPy only.

Landmarks are canonical shapes ``(T, 478, 3)`` in mouth widths, one per frame, tracked afresh in the true and in the
rendered video (see ``realtime_dub.face.alignment``). A frame without a face is a row of NaN and counts nowhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from realtime_dub.face.landmarks import CHIN, CORNERS, LIPS, NOSE_BASE, OPENING, mean_lip_opening

Array = npt.NDArray[np.float32] | npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

MIN_PAIRS = 3  # a correlation of fewer frames says nothing
TOUCH = 0.03  # mouth widths: lips so near touch
APART = 0.1  # lips so far beyond shut ones are open for everybody
LEAST_SHARE = 0.02  # of a clip's frames: the lips of so many are taken for shut
LOWER_LIP = np.concatenate([OPENING[:, 1], [181, 84, 17, 314, 405]])  # the middle of its inner and outer edge


class Agreement(NamedTuple):
    """Correlation of two curves. ``best_lag`` in frames: above zero, the second comes late by so many."""

    r_at_0: float
    best_lag: int
    r_best: float


def lip_opening(canonical: Array) -> Array:
    """Mean distance (T,) of the inner lips over their middle, in mouth widths."""
    return mean_lip_opening(np.asarray(canonical, np.float32))


def lip_width(canonical: Array) -> Array:
    """Distance (T,) of the mouth's corners in the plane of the face, mouth widths: spread is wide, round narrow."""
    return np.asarray(np.linalg.norm(canonical[:, CORNERS[0], :2] - canonical[:, CORNERS[1], :2], axis=-1))


def lower_lip(canonical: Array) -> Array:
    """How low the lower lip hangs (T,) under the nose, mouth widths.

    The nose, because what is left of the head's nod in canonical shapes is the same there: a frozen mouth nods along.
    """
    return np.asarray(canonical[:, LOWER_LIP, 1].mean(-1) - canonical[:, NOSE_BASE, 1])


def jaw(canonical: Array) -> Array:
    """How low the chin hangs (T,) under the nose, mouth widths."""
    return np.asarray(canonical[:, CHIN, 1] - canonical[:, NOSE_BASE, 1])


def correlation(truth: Array, test: Array) -> float:
    """Pearson's r of two curves (T,), frames with NaN in either left out; 0 where one of them stands still."""
    known = np.isfinite(truth) & np.isfinite(test)
    if known.sum() < MIN_PAIRS:
        return 0.0
    a = truth[known].astype(np.float64) - truth[known].mean(dtype=np.float64)
    b = test[known].astype(np.float64) - test[known].mean(dtype=np.float64)
    energy = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / energy if energy > 1e-12 else 0.0


def correlation_by_lag(truth: Array, test: Array, max_lag: int = 10) -> dict[int, float]:
    """r of two curves (T,) at every shift within ``max_lag`` frames that leaves enough of them."""
    reach = min(max_lag, len(truth) - MIN_PAIRS)
    return {lag: correlation(*_shifted(truth, test, lag)) for lag in range(-reach, reach + 1)}


def correlation_and_lag(truth: Array, test: Array, max_lag: int = 10) -> Agreement:
    """How two curves (T,) agree in step, and at which shift within ``max_lag`` frames they agree best."""
    return best_of(correlation_by_lag(truth, test, max_lag))


def best_of(by_lag: Mapping[int, float]) -> Agreement:
    """The best of r by lag; of equal values the smallest shift wins."""
    best = max(by_lag, key=lambda lag: (by_lag[lag], -abs(lag)), default=0)
    return Agreement(by_lag.get(0, 0.0), best, by_lag.get(best, 0.0))


def _shifted(truth: Array, test: Array, lag: int) -> tuple[Array, Array]:
    """The parts that overlap when ``test`` comes ``lag`` frames late."""
    return (truth[: len(truth) - lag], test[lag:]) if lag >= 0 else (truth[-lag:], test[:lag])


def spread(curve: Array) -> float:
    """Standard deviation of a curve (T,), frames with NaN left out; NaN without any."""
    known = curve[np.isfinite(curve)]
    return float(known.std(dtype=np.float64)) if known.size else float("nan")


def landmark_distance(truth: Array, test: Array, axes: int = 2) -> float:
    """Mean distance of the lip points over frames and points, mouth widths; NaN where no frame has a face in both.

    In the plane of the face: the depth (``axes=3``) is the tracker's guess from one picture.
    """
    return _mean(np.linalg.norm((truth - test)[:, LIPS, :axes], axis=-1))


def mean_shape_distance(truth: Array, axes: int = 2) -> float:
    """What a mouth frozen in the clip's mean shape would score: the bar that :func:`landmark_distance` must pass."""
    known = truth[np.isfinite(truth).all((1, 2))]
    return landmark_distance(known, known.mean(0, keepdims=True), axes) if len(known) else float("nan")


class Closing(NamedTuple):
    """How lips shut. Both shares are NaN where the true lips never do what they are shares of."""

    moments: int  # in which the true lips touch
    met: float  # share of these in which the other lips touch
    wrong: float  # share of the frames with the true lips apart in which the other lips touch


def closing(truth: Array, test: Array, where: Bools) -> Closing:
    """How lip openings ``test`` (T,) shut where those of ``truth`` (T,) do, within the frames ``where`` (T,).

    A tracker reads shut lips as 0.00 to 0.05 mouth widths, by face. So lips touch up to ``TOUCH`` beyond the least
    opening of the truth. A clip whose least opening is beyond ``APART`` has no shut lips to measure by. A moment lasts
    as long as the true lips touch; a frame to either side counts, too.
    """
    known = np.isfinite(truth) & np.isfinite(test)
    least = np.quantile(truth[known], LEAST_SHARE) if known.any() else np.inf
    if least > APART:
        return Closing(0, float("nan"), float("nan"))
    touched = known & (test <= least + TOUCH)
    runs = _runs(known & where & (truth <= least + TOUCH))
    met = [bool(touched[max(0, low - 1) : high + 1].any()) for low, high in runs]
    apart = known & where & (truth > least + APART)
    return Closing(len(runs), _mean(np.array(met, float)), _mean(touched[apart].astype(float)))


def _runs(chosen: Bools) -> list[tuple[int, int]]:
    """First frame and the one after the last of every stretch of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], chosen, [False]]).astype(int)))
    return [(int(low), int(high)) for low, high in list(pairwise(edges))[::2]]


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
