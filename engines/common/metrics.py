"""How far predicted mouths are from real ones."""

from __future__ import annotations

import numpy as np

from engines.common import Array
from engines.common.video_metrics import correlation
from realtime_dub.face.alignment import LOWER
from realtime_dub.face.landmarks import LIPS, OPENING

LIPS_AT = np.searchsorted(LOWER, LIPS)  # places of the lips' points among the lower face's
OPENING_AT = np.searchsorted(LOWER, OPENING)


def openings(motion: Array, neutral: Array) -> Array:
    """Lip opening (n,) in mouth widths of motion (n, 168, 3) from the neutral shape (478, 3)."""
    points = motion + neutral[LOWER]
    gaps = points[:, OPENING_AT[:, 0]] - points[:, OPENING_AT[:, 1]]
    return np.asarray(np.linalg.norm(gaps, axis=-1).mean(-1))


def lagged_correlation(pairs: list[tuple[Array, Array]], lag: int) -> float:
    """r over all (predicted, real) pairs with the prediction shifted ``lag`` frames later."""
    cut = [(p[max(0, -lag) : len(p) - max(0, lag)], r[max(0, lag) : len(r) - max(0, -lag)]) for p, r in pairs]
    return correlation(np.concatenate([p for p, _ in cut]), np.concatenate([r for _, r in cut]))


def lip_distance(motion: Array, real: Array) -> Array:
    """Mean 2-D distance of the lips' points per frame (n,), mouth widths."""
    gap = motion[:, LIPS_AT, :2] - real[:, LIPS_AT, :2]
    return np.asarray(np.linalg.norm(gap, axis=-1).mean(-1))
