"""The figures that every table of mouths shows of a clip, drawn or not: lips against the true lips."""

from __future__ import annotations

from dataclasses import dataclass

from engines.common import video_metrics as metrics
from engines.common.video_metrics import Array, Bools

MAX_LAG = 10  # frames


@dataclass(frozen=True, eq=False)
class Score:
    """One clip: its lip openings (T,), for figures over several clips, and its own figures."""

    name: str
    speaker: str
    truth: Array
    test: Array
    figures: dict[str, float]


def scored(name: str, speaker: str, wanted: Array, made: Array, said: Bools, quiet: Bools) -> Score:
    """Shapes ``made`` (T, 478, 3) against the true ones ``wanted``, in mouth widths.

    ``said`` (T,) is between the first loud frame and the last, ``quiet`` (T,) has no voice. NaN is what cannot be told.
    """
    openings = metrics.lip_opening(wanted), metrics.lip_opening(made)
    agreement = metrics.correlation_and_lag(*openings, MAX_LAG)
    figures = {
        "r_at_0": agreement.r_at_0,
        "best_lag": float(agreement.best_lag),
        "r_best": agreement.r_best,
        **_shapes(wanted, made, said),
        **_distances(wanted, made, said),
        **_amounts(*openings, said),
        "jitter": metrics.jitter(made, quiet),
    }
    return Score(name, speaker, *openings, figures)


def _shapes(wanted: Array, made: Array, said: Bools) -> dict[str, float]:
    """r of what else a mouth does than open, over all frames and in speech."""
    found = {}
    for name, curve in {"width": metrics.lip_width, "lower_lip": metrics.lower_lip, "jaw": metrics.jaw}.items():
        truth, test = curve(wanted), curve(made)
        found[f"r_{name}"] = metrics.correlation(truth, test)
        found[f"r_{name}_spoken"] = metrics.correlation(truth[said], test[said])
    return found


def _distances(wanted: Array, made: Array, said: Bools) -> dict[str, float]:
    """How far the lips are from the true ones, and that as a share of a frozen mouth's distance."""
    distance, frozen = metrics.landmark_distance(wanted, made), metrics.mean_shape_distance(wanted)
    spoken, frozen_spoken = (
        metrics.landmark_distance(wanted[said], made[said]),
        metrics.mean_shape_distance(wanted[said]),
    )
    return {
        "distance": distance,
        "mean_shape": frozen,
        "distance_share": distance / frozen,
        "distance_share_spoken": spoken / frozen_spoken,
    }


def _amounts(truth: Array, test: Array, said: Bools) -> dict[str, float]:
    """What is told by lip openings in speech."""
    shut = metrics.closing(truth, test, said)
    return {
        "r_spoken": metrics.correlation(truth[said], test[said]),
        "amplitude_spoken": metrics.spread(test[said]) / metrics.spread(truth[said]),
        "closures": float(shut.moments),
        "closed": shut.met,
        "closed_wrongly": shut.wrong,
    }


def others(place: int, count: int, most: int = 1) -> list[int]:
    """Of ``count`` clips in order those whose voices the clip at ``place`` gets in the row ``shuffled``; never its own.

    The first is half of them on: neighbours are of one speaker, and may be one sentence twice.
    """
    steps = dict.fromkeys(count * (k + 1) // (most + 1) for k in range(most))
    return [(place + step) % count for step in steps if step]
