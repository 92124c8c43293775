"""Rooms, speaking rates and music, made in the domain of band powers."""

from __future__ import annotations

import numpy as np

from engines.common import Array
from realtime_dub.audio.frontends.logmel import LogMel, LogMelSpec

HOP_S = 0.01


def reverberate(power: Array, decay_s: float, wet: float) -> Array:
    """A room behind a voice (n, bands): late sound of ``wet`` times the power, falling by 60 dB in ``decay_s``.

    High bands die away faster, as air and curtains make them.
    """
    bands = power.shape[1]
    times = np.linspace(1.0, 0.5, bands).astype(np.float32) * np.float32(decay_s)
    keep = np.float32(10.0) ** (-6.0 * HOP_S / times)
    tail = np.zeros(bands, np.float32)
    out = np.empty_like(power)
    for index, row in enumerate(power):
        out[index] = row + wet * tail
        tail = keep * tail + (1 - keep) * row
    return out


def stretch(power: Array, labels: Array, speed: float) -> tuple[Array, Array]:
    """A row (n, bands) and its labels (n,) at ``speed`` times the rate, its spectrum as it was."""
    if speed == 1.0 or len(power) < 2:
        return power, labels
    at = np.arange(0, len(power) - 1, speed)
    low = at.astype(int)
    part = (at - low).astype(np.float32)[:, None]
    return power[low] * (1 - part) + power[low + 1] * part, labels[np.round(at).astype(int)]


def music(spec: LogMelSpec, rng: np.random.Generator, seconds: float = 15.0) -> Array:
    """Band powers (n, bands), mean 1, of chords of harmonic tones that are struck and die away."""
    count = int(seconds * spec.rate)
    sound = np.zeros(count)
    onset = 0
    while onset < count:
        length = int(spec.rate * rng.uniform(0.15, 0.8))
        time = np.arange(min(2 * length, count - onset)) / spec.rate
        for note in rng.integers(-24, 20, rng.integers(1, 4)):
            pitch = 440 * 2 ** (note / 12)
            tone = sum(np.sin(2 * np.pi * pitch * k * time) / k for k in range(1, 9) if pitch * k < spec.rate / 2)
            sound[onset : onset + len(time)] += tone * np.exp(-time * rng.uniform(1, 8))
        onset += length
    power = LogMel(spec).power((0.1 * sound).astype(np.float32))
    return power / power.mean()
