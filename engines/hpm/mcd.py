"""Mel cepstral distortion: how far one voice is from another, at the same times or along the cheapest warp."""

from __future__ import annotations

import numpy as np

from engines.common import Array

CEPSTRA = 25  # without the first, which is loudness
RATE = 16_000  # of sounds
STEP_S = 0.01
SIZE, BANDS = 1024, 40  # of a sound's spectrum
SPEECH_HZ = (400, 4_000)  # where speech is louder than a room
FLOOR_DB = -30.0  # of the loudest 50 ms there: less is no speech


def mel_distortion(made: Array, real: Array) -> float:
    """Decibels, mean over the frames of two spectrograms (n, bands) of natural logarithms of magnitudes."""
    return float(_apart(_cepstra(made) - _cepstra(real)).mean())


def warped(one: Array, other: Array) -> float:
    """Decibels, mean along the cheapest warp of two rows (n, CEPSTRA) of :func:`cepstra`."""
    before = [(0.0, 0), *[(np.inf, 0)] * len(other)]  # what it costs up to here, in how many steps
    for costs in _apart(one[:, None] - other[None]).tolist():
        row = [(np.inf, 0)]
        for j, cost in enumerate(costs):
            total, steps = min(before[j], before[j + 1], row[j])
            row.append((total + cost, steps + 1))
        before = row
    return float(before[-1][0] / before[-1][1])


def cepstra(sound: Array) -> Array:
    """Mel cepstra (n, CEPSTRA) of sound (m,) at RATE every STEP_S, the level left out; silent ends cut off."""
    padded = np.pad(sound, SIZE // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, SIZE)[:: round(STEP_S * RATE)] * np.hanning(SIZE)
    power = np.abs(np.fft.rfft(frames)) ** 2
    return _cepstra(0.5 * np.log(power[_loud(power)] @ _mel_bank().T + 1e-8))


def _apart(difference: Array) -> Array:
    """Kubichek (1993): 10 / ln 10 · √(2 Σ difference²)."""
    return np.asarray(10 / np.log(10) * np.sqrt(2 * np.square(difference).sum(-1)))


def _cepstra(logs: Array) -> Array:
    """Cepstra 1 .. CEPSTRA, whose sum of cosines the logarithms (n, bands) are."""
    bands = logs.shape[1]
    angles = np.pi / bands * (np.arange(bands) + 0.5)[:, None] * np.arange(1, CEPSTRA + 1)
    return np.asarray(logs @ np.cos(angles) * 2 / bands)


def _loud(power: Array) -> slice:
    first, end = (round(hz * SIZE / RATE) for hz in SPEECH_HZ)
    energy = np.convolve(power[:, first:end].sum(1), np.ones(5) / 5, "same")
    loud = np.flatnonzero(10 * np.log10(energy / max(energy.max(), 1e-12) + 1e-12) > FLOOR_DB)
    return slice(int(loud[0]), int(loud[-1]) + 1) if len(loud) else slice(0, 0)


def _mel_bank() -> Array:
    edges = 700 * (10 ** (np.linspace(0, 2595 * np.log10(1 + 8000 / 700), BANDS + 2) / 2595) - 1)
    bins = np.fft.rfftfreq(SIZE, 1 / RATE)
    rising = (bins - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - bins) / np.diff(edges)[1:, None]
    return np.asarray(np.maximum(0, np.minimum(rising, falling)), np.float64)
