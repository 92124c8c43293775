"""What the recurrent net hears in training: filmed people as they are, and as other people in other rooms would sound.

Cepstra are a cosine transform of logarithms, so a room or a microphone is a constant added to them, which costs
nothing. Tempo, length of the vocal tract and noise are in the sound; a few versions of each track are made once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from engines.common import Array
from engines.common.grid import Clip, rest_weight, sample_motion
from engines.common.people import evened
from engines.own_texture.basis import Basis
from realtime_dub.audio.frontends.mfcc import Mfcc, MfccSpec

SPEC = MfccSpec(energy=True, differences=True)  # 13 cepstra and the energy, and their differences: 28
HIGHEST_HZ = 7_900.0
ROOM_DB, GAIN_DB = 2.5, 6.0  # of random smooth curves over the filters, and of the whole
_CURVES = 6  # cosines of such a curve


@dataclass(frozen=True)
class Version:
    """How a track is made to sound."""

    speed: float = 1.0
    tract: float = 1.0  # by so much the filters lie higher
    noise_db: float | None = None  # below the voice


VERSIONS = (
    Version(),
    Version(0.93, 1.06, 35),
    Version(1.07, 0.94, 30),
    Version(1.0, 0.88, 25),
    Version(1.0, 1.13, 25),
    Version(1.15, 1.06, 30),
    Version(0.87, 0.95, 20),
    Version(1.0, 1.2, None),
)


@dataclass(frozen=True, eq=False)
class Heard:
    """A track at 100 Hz. Row i of each is the instant ``i * hop``."""

    features: Array  # (n, 28)
    coefficients: Array  # (n, k)


def heard(clip: Clip, basis: Basis, version: Version, rng: np.random.Generator) -> Heard:
    """A clip in the basis, as ``version`` sounds."""
    sound = clip.audio
    if version.speed != 1.0:
        import soxr

        sound = np.asarray(soxr.resample(sound, SPEC.rate * version.speed, SPEC.rate), np.float32)
    if version.noise_db is not None:
        level = np.sqrt(np.mean(sound.astype(np.float64) ** 2)) * 10 ** (-version.noise_db / 20)
        sound = sound + (level * rng.standard_normal(len(sound))).astype(np.float32)
    features = features_of(sound, version.tract)
    times_s = np.arange(len(features)) * SPEC.hop / SPEC.rate * version.speed
    motion = sample_motion(clip.motion, clip.fps, times_s)
    if clip.words:
        motion = motion * rest_weight(clip.words, times_s)[:, None, None]
    return Heard(features, basis.coefficients(motion))


def features_of(sound: Array, tract: float = 1.0) -> Array:
    """Sound (n,) at 16 kHz as the net hears it (m, 28)."""
    high_hz = min(SPEC.high_hz * tract, HIGHEST_HZ)
    front_end = Mfcc(SPEC.model_copy(update={"low_hz": SPEC.low_hz * tract, "high_hz": high_hz}))
    return np.concatenate([front_end.process(sound), front_end.finish()])


class Draws:
    """Sequences of many people: of who has four times as many tracks twice as many are drawn."""

    def __init__(self, clips: Sequence[Clip], basis: Basis, batch: int, frames: int, versions: int, seed: int) -> None:
        """``versions``: so many of ``VERSIONS``; 1 = the tracks as they are, in the room they were filmed in."""
        self._batch, self._frames, self._disturbed = batch, frames, versions > 1
        made = VERSIONS[:versions]
        self._rows = [
            [
                heard(clip, basis, version, np.random.default_rng([seed, at, place]))
                for place, version in enumerate(made)
            ]
            for at, clip in enumerate(clips)
        ]
        self._shares = evened([clip.speaker for clip in clips])

    def statistics(self) -> tuple[Array, Array]:
        """Mean and spread (28,) of the tracks as they are."""
        features = np.concatenate([row[0].features for row in self._rows])
        return features.mean(0), features.std(0) + 0.1

    def draw(self, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Features (b, frames, 28) and coefficients (b, frames, k), neither of them delayed."""
        chosen = rng.choice(len(self._rows), self._batch, p=self._shares)
        rows = [self._cut(self._rows[int(at)], rng) for at in chosen]
        features, wanted = (np.stack(each) for each in zip(*rows, strict=True))
        return torch.from_numpy(features), torch.from_numpy(wanted)

    def _cut(self, versions: Sequence[Heard], rng: np.random.Generator) -> tuple[Array, Array]:
        row = versions[int(rng.integers(len(versions)))]
        start = int(rng.integers(0, max(1, len(row.features) - self._frames + 1)))
        features, wanted = (
            _long(each[start : start + self._frames], self._frames) for each in (row.features, row.coefficients)
        )
        return features + elsewhere(rng) if self._disturbed else features, wanted


def elsewhere(rng: np.random.Generator) -> Array:
    """What a random room and microphone add to the features (28,)."""
    added = np.zeros(SPEC.features, np.float32)
    per_db = np.log(10) / 10
    gain = rng.normal(0, GAIN_DB) * per_db
    room = rng.normal(0, ROOM_DB, _CURVES) * per_db / np.arange(1, _CURVES + 1) ** 0.5
    added[0] = gain * np.sqrt(SPEC.filters)
    added[1 : 1 + _CURVES] = room * np.sqrt(SPEC.filters / 2)
    added[SPEC.cepstra] = gain
    return added


def _long(values: Array, count: int) -> Array:
    """At least ``count`` rows: the last one stays."""
    return np.concatenate([values, np.repeat(values[-1:], count - len(values), 0)]) if len(values) < count else values
