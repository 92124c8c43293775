"""What painters hear, in other voices, rooms and lines: ``engines/common/augment.py`` on their mel.

Independent sounds add as powers of the bands, so what is disturbed is taken out of the decibels and put back.
"""

from __future__ import annotations

import numpy as np

from engines.common import Array
from engines.common.augment import babble, either, noise_sounds, unit, vary
from engines.common.speech.rooms import reverberate
from realtime_dub.audio.frontends import open_front_end
from realtime_dub.audio.frontends.painter_mel import BOUND, LEAST, RANGE_DB, REFERENCE_DB, PainterMelSpec
from realtime_dub.media import Floats

OWN = 0.25  # share of stretches that stay in the talker's own voice, on another day
ROOMS = 0.25  # share of the others that are heard in a room
BABBLES, SOME = 3, 60  # backgrounds of several voices; stretches that they are made of


def power_of(mel: Array) -> Floats:
    """Band powers (n, bands) of what the front end gives."""
    decibels = (np.asarray(mel, np.float32) + BOUND) * RANGE_DB / (2 * BOUND) - RANGE_DB + REFERENCE_DB
    return np.asarray(10 ** (decibels / 10), np.float32)


def mel_of(power: Array) -> Floats:
    """What the front end gives for sound of these band powers (n, bands)."""
    decibels = 10 * np.log10(np.maximum(power, LEAST**2)) - REFERENCE_DB
    return np.asarray(np.clip(2 * BOUND * (decibels + RANGE_DB) / RANGE_DB - BOUND, -BOUND, BOUND), np.float32)


class Voices:
    """Makes stretches of mel sound like somebody else, somewhere else. ``some``: stretches (n, bands) of voices."""

    def __init__(self, spec: PainterMelSpec, rng: np.random.Generator, some: list[Array]) -> None:
        self._noises = [unit(power_of(open_front_end(spec).process(each))) for each in noise_sounds(spec.rate, rng)]
        powers = [power_of(each) for each in some[:SOME]]
        self._noises += [babble(powers, rng) for _ in range(BABBLES)]

    def __call__(self, mel: Array, rng: np.random.Generator) -> Floats:
        """A stretch (n, bands), disturbed as a whole."""
        power = power_of(mel)
        if rng.random() < OWN:
            return mel_of(vary(power, self._noises, rng))
        if rng.random() < ROOMS:
            power = reverberate(power, rng.uniform(0.2, 0.9), rng.uniform(0.1, 1.0))
        return mel_of(either(power, self._noises, rng))
