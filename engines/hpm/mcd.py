"""Mel cepstral distortion: how far one spectrogram is from another of the same times."""

from __future__ import annotations

import numpy as np

from engines.common import Array

CEPSTRA = 13  # without the first, which is loudness


def mel_distortion(made: Array, real: Array) -> float:
    """Decibels, mean over the frames (n, bands) of natural logarithms: 10 / ln 10 · √(2 Σ difference²), after Kubichek
    (1993), of the cepstra 1..13, whose sum of cosines the spectrum is.
    """
    bands = made.shape[1]
    angles = np.pi / bands * (np.arange(bands) + 0.5)
    cosines = np.cos(np.arange(1, CEPSTRA + 1)[:, None] * angles) * 2 / bands
    apart = (made - real) @ cosines.T
    return float(10 / np.log(10) * np.sqrt(2 * np.square(apart).sum(1)).mean())
