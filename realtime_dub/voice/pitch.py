"""How high somebody speaks: the autocorrelation of a window, divided by that of the window itself.

After Boersma, "Accurate short-term analysis of the fundamental frequency" (1993), without his search for a path.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from realtime_dub.media import Floats

LOWEST_HZ, HIGHEST_HZ = 60.0, 400.0
FRAME_S, HOP_S = 0.064, 0.02
VOICED = 0.6  # of the power, at a period
RUMBLE_HZ = 50.0  # what is lower is no voice
QUIET = 1e-6  # power: below it nobody speaks
NEARLY = 0.98  # of the best: a period that is as good as twice itself is the period
MOST_S = 30.0
LEAST = 5  # voiced frames that make a pitch
Doubles = npt.NDArray[np.float64]


def pitch_track(samples: Floats, rate: int, hop: int) -> Doubles:
    """Hz (m,) at every ``hop``-th of the samples (n,), NaN where no voice is."""
    size = round(FRAME_S * rate)
    window = np.hanning(size)
    pieces = np.lib.stride_tricks.sliding_window_view(np.pad(samples.astype(np.float64), size // 2), size)[::hop]
    pieces = pieces[: -(-len(samples) // hop)] * window
    alike = _autocorrelation(pieces, round(RUMBLE_HZ * 2 * size / rate)) / _autocorrelation(window[None])
    first, last = int(rate / HIGHEST_HZ), int(rate / LOWEST_HZ) + 1
    inside = alike[:, first - 1 : last + 1]
    middle = inside[:, 1:-1]
    best = middle.max(1)
    peaks = (middle >= inside[:, :-2]) & (middle >= inside[:, 2:]) & (middle >= NEARLY * best[:, None])
    at = peaks.argmax(1)
    voiced = peaks.any(1) & (best > VOICED) & ((pieces**2).mean(1) > QUIET)
    return np.where(voiced, rate / (first + at + _aside(inside, at)), np.nan)


def pitch_hz(samples: Floats, rate: int) -> float | None:
    """The median of the voice's pitch (n,); None where nobody speaks."""
    track = pitch_track(samples[: round(MOST_S * rate)], rate, round(HOP_S * rate))
    voiced = track[np.isfinite(track)]
    return float(np.median(voiced)) if len(voiced) >= LEAST else None


def _autocorrelation(pieces: Doubles, rumble: int = 0) -> Doubles:
    """(m, n), 1 at lag 0, without the first ``rumble`` frequencies: a room's hum is alike at every period."""
    size = pieces.shape[1]
    power = np.abs(np.fft.rfft(pieces, 2 * size)) ** 2
    power[:, :rumble] = 0
    found = np.fft.irfft(power)[:, :size]
    return np.asarray(found / np.maximum(found[:, :1], 1e-9))


def _aside(inside: Doubles, at: npt.NDArray[np.int64]) -> Doubles:
    """How far the top of a parabola through a peak and its neighbours is from it, -0.5..0.5."""
    rows = np.arange(len(at))
    before, peak, behind = (inside[rows, at + k] for k in range(3))
    curve = before - 2 * peak + behind
    aside = 0.5 * (before - behind) / np.where(curve < 0, curve, -1.0)
    return np.asarray(np.where(curve < 0, np.clip(aside, -0.5, 0.5), 0.0))
