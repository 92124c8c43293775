"""How high a voice is, and when it has a pitch at all: what the ear of ``source_filter`` learns from.

The first high peak of each piece's autocorrelation (Rabiner 1977), between two lags by a parabola.
"""

from __future__ import annotations

import numpy as np

from engines.common import Array
from engines.vocoder.source_filter import HIGHEST_HZ, LOWEST_HZ
from realtime_dub.audio.frontends.voice_mel import AT_16K

PIECE = 1024  # samples that a pitch is found in
VOICED = 0.5  # of the peak, 1 = the piece is exactly periodic
QUIET = 1e-6  # mean square of nobody
NEARLY = 0.9  # of the highest peak: an earlier one as high as that is the pitch, the others are its multiples
MEDIAN = 5  # frames
USUAL_HZ = 120.0


def pitch_of(sound: Array, frames: int) -> tuple[Array, Array]:
    """Log Hz (frames,) of a sound at 16 kHz, straight lines where nothing is voiced; and which frames are (bool)."""
    padded = np.pad(sound, PIECE // 2)
    pieces = np.lib.stride_tricks.sliding_window_view(padded, PIECE)[:: AT_16K.hop][:frames] * np.hanning(PIECE)
    found = _autocorrelation(pieces) / _autocorrelation(np.hanning(PIECE)[None])
    first, last = int(AT_16K.rate / HIGHEST_HZ), int(AT_16K.rate / LOWEST_HZ)
    lag, height = _first_peak(found[:, first - 1 : last + 2])
    voiced = (height > VOICED) & ((pieces**2).mean(1) > QUIET)
    if not voiced.any():
        return np.full(frames, np.log(USUAL_HZ), np.float32), voiced
    log_hz = np.log(AT_16K.rate / (lag + first - 1))
    places = np.flatnonzero(voiced)
    through = np.interp(np.arange(frames), places, log_hz[places])
    around = np.lib.stride_tricks.sliding_window_view(np.pad(through, MEDIAN // 2, mode="edge"), MEDIAN)
    return np.median(around, axis=1).astype(np.float32), voiced


def _first_peak(rows: Array) -> tuple[Array, Array]:
    """Where (n,) the first of the high peaks of rows (n, lags) is, and how high the highest."""
    inner = rows[:, 1:-1]
    best = inner.max(1)
    peaks = (inner >= rows[:, :-2]) & (inner >= rows[:, 2:]) & (inner > NEARLY * best[:, None])
    at = np.where(peaks.any(1), peaks.argmax(1), inner.argmax(1)) + 1
    row = np.arange(len(rows))
    before, here, after = rows[row, at - 1], rows[row, at], rows[row, at + 1]
    bend = before - 2 * here + after
    shift = np.where(np.abs(bend) > 1e-9, (before - after) / np.where(bend == 0, 1.0, 2 * bend), 0.0)
    return at + np.clip(shift, -0.5, 0.5), best


def _autocorrelation(pieces: Array) -> Array:
    """(n, PIECE), 1 at lag 0."""
    power = np.abs(np.fft.rfft(pieces, 2 * PIECE)) ** 2
    found = np.fft.irfft(power)[:, :PIECE]
    return np.asarray(found / np.maximum(found[:, :1], 1e-9))
