"""Compares how far the mouths of several results open over time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from realtime_dub.errors import ConfigError
from realtime_dub.face import landmark_files
from realtime_dub.paths import Use, WholeFile, refuse_clashes
from realtime_dub.pipeline.landmarks import picture, write_plot

STEP_S = 0.04  # of the common time line
MOST_LAG = 10  # steps
LEAST = 10  # steps that both have
Row = tuple[str, str, str, str, str, str]


def compare(results: Sequence[Path], plot: Path | None) -> list[Row]:
    """A row for each: name, voice and weights, r with the first, best r and its lag, how far it opens.

    Raises ConfigError where there is only one, or a file has no landmarks.
    """
    if len(results) < 2:
        raise ConfigError(
            "cannot compare", f"{len(results)} result", "name two or more that --save-landmarks has written"
        )
    file = None
    if plot is not None:
        refuse_clashes([Use(plot, "--plot")], [Use(path, "RESULT") for path in results])
        file = WholeFile(picture(plot))
    found = [landmark_files.read(path) for path in results]
    if file is not None:
        curves = {
            f"{k + 1}: {path.name}": (each.times_s, each.openness)
            for k, (path, each) in enumerate(zip(results, found, strict=True))
        }
        write_plot(file, curves)
    return list(_rows(results, found))


def _rows(results: Sequence[Path], found: Sequence[landmark_files.Landmarks]) -> Iterator[Row]:
    end_s = min(each.times_s[-1] for each in found)
    at = np.arange(0, end_s, STEP_S)
    curves = [_sampled(each, at) for each in found]
    for path, each, curve in zip(results, found, curves, strict=True):
        r = [correlation(curves[0], curve, lag) for lag in range(-MOST_LAG, MOST_LAG + 1)]
        best = int(np.nanargmax(r)) if np.isfinite(r).any() else MOST_LAG
        made = f"{Path(each.source.get('voice', '?')).name}, {each.source.get('weights', '?')}"
        late_ms = (best - MOST_LAG) * STEP_S * 1000
        known = curve[np.isfinite(curve)]
        spread = float(known.std()) if len(known) else float("nan")
        yield path.name, made, f"{r[MOST_LAG]:.3f}", f"{r[best]:.3f}", f"{late_ms:+.0f} ms", f"{spread:.3f}"


def _sampled(landmarks: landmark_files.Landmarks, at: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The openness at instants, s; NaN where no face was near."""
    known = np.isfinite(landmarks.openness)
    if not known.any():
        return np.full(len(at), np.nan)
    curve = np.interp(at, landmarks.times_s[known], landmarks.openness[known])
    nearest = np.abs(landmarks.times_s[known][:, None] - at).min(0) if len(at) * known.sum() < 10_000_000 else 0 * at
    return np.where(nearest <= 2 * STEP_S, curve, np.nan)


def correlation(one: npt.NDArray[np.float64], other: npt.NDArray[np.float64], lag: int) -> float:
    """r where both are known, ``other`` taken ``lag`` steps later; NaN where that is too little."""
    count = len(one) - abs(lag)
    a, b = one[max(0, -lag) :][:count], other[max(0, lag) :][:count]
    both = np.isfinite(a) & np.isfinite(b)
    if both.sum() < LEAST or a[both].std() == 0 or b[both].std() == 0:
        return float("nan")
    return float(np.corrcoef(a[both], b[both])[0, 1])
