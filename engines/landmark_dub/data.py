"""Batches for the networks: people who talk, as cepstra, the face's other landmarks and the mouth's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from engines.common import Array
from engines.common.augment import random_curve, warp
from engines.common.dataset import Track
from engines.common.grid import sample_motion
from engines.common.people import evened
from engines.landmark_dub.layers import to_crop
from realtime_dub.audio.frontends.mfcc import Mfcc, MfccSpec
from realtime_dub.face.alignment import TEMPLATE, neutral_shape
from realtime_dub.face.scheme68 import AROUND, MOUTH

SPEEDS = (1.0, 1.0, 0.88, 1.15)
VOICELESS = 0.04  # share of rows without any sound, in which the mouth rests
NOISY = 0.3  # share of rows with a noise in them
WARP, TILT_DB, NOISE_DB = 0.05, 1.5, 6.0  # spread of a vocal tract's length, of a microphone, of a noise's colour
SNR_DB = (15.0, 45.0)

REST = to_crop(TEMPLATE[MOUTH, :2])  # (20, 2)
WIDTH = float(np.linalg.norm(REST[6] - REST[0]))  # of that mouth, pixels: the corners

Rows = tuple[Tensor, Tensor, Tensor]


@dataclass(frozen=True, eq=False)
class Talk:
    """A track at one speed, in steps of the cepstra: pixels of the crop.

    Every mouth rests where the template's does. Only its motion is used of what a network gives; where each person's
    lips are would else be most of what it has to learn.
    """

    power: Array  # (n, filters) of its sound
    mouth: Array  # (n, 20, 2)
    around: Array  # (n, 48, 2) the other landmarks as they are seen
    resting: Array  # (48, 2) and as they are at rest


def talk_of(track: Track, spec: MfccSpec, speed: float = 1.0, late: int = 0) -> Talk:
    """``late``: samples after the first one at which the first step is."""
    audio = track.audio[round(late * speed) :]
    if speed != 1.0:
        import soxr

        audio = np.asarray(soxr.resample(audio, spec.rate * speed, spec.rate), np.float32)
    front_end = Mfcc(spec)
    power = front_end.power(np.concatenate([audio, np.zeros(spec.window // 2 - 1, np.float32)]))
    times_s = (np.arange(len(power)) * spec.hop + late) / spec.rate * speed
    neutral = to_crop(neutral_shape(track.canonical[track.seen])[:, :2])
    points = sample_motion(track.canonical[:, np.concatenate([AROUND, MOUTH]), :2], track.fps, times_s)
    around, mouth = np.split(to_crop(points), [len(AROUND)], axis=1)
    return Talk(power, mouth - neutral[MOUTH] + REST, around, neutral[AROUND])


def talk_taught(audio: Array, lips: Array, resting: Array, spec: MfccSpec) -> Talk:
    """A voice that nobody filmed, its ``lips`` (n, 20, 2) in mouth widths, on a face ``resting`` (48, 2)."""
    power = Mfcc(spec).power(np.concatenate([audio, np.zeros(spec.window // 2 - 1, np.float32)]))
    steps = min(len(power), len(lips))
    around = np.broadcast_to(resting, (steps, *resting.shape))
    return Talk(power[:steps], REST + lips[:steps] * np.float32(WIDTH), around, resting)


@dataclass(frozen=True, eq=False)
class People:
    """Whose rows are drawn: of who has four times as many tracks twice as many."""

    talks: list[list[Talk]]  # versions of the same tracks
    shares: Array  # (tracks,) up to one

    @classmethod
    def of(cls, talks: list[list[Talk]], speakers: list[str]) -> People:
        return cls(talks, np.cumsum(evened(speakers)))

    @classmethod
    def filmed(cls, tracks: list[Track], spec: MfccSpec, seed: int) -> People:
        """Each of ``tracks`` at every speed."""
        rng = np.random.default_rng(seed)
        talks = [
            [talk_of(track, spec, speed, int(rng.integers(spec.hop)) if place else 0) for track in tracks]
            for place, speed in enumerate(SPEEDS)
        ]
        return cls.of(talks, [track.entry.speaker for track in tracks])

    def drawn(self, rng: np.random.Generator, least: int) -> Talk:
        """A track of at least so many steps. There is one."""
        while True:
            talks = self.talks[rng.integers(len(self.talks))]
            talk = talks[min(int(np.searchsorted(self.shares, rng.random())), len(talks) - 1)]
            if len(talk.power) >= least:
                return talk


@dataclass(frozen=True)
class Rowing:
    """How rows are made.

    ``delay``: steps by which the mouth comes after its sound; ``resting``: the face is shown as it is at rest, because
    the jaw moves with the mouth, and a face that is dubbed says something else; ``shrink`` and ``shift_px``: by how
    much faces are made smaller and moved about; ``taught``: share of the rows that are of who was not filmed.
    """

    batch: int
    frames: int  # steps of a row
    delay: int = 0
    resting: bool = True
    shrink: float = 0.0
    shift_px: float = 0.0
    taught: float = 0.0


class Batches:
    """Rows of people who were filmed, and of others who were ``heard`` alone."""

    def __init__(self, filmed: People, spec: MfccSpec, rowing: Rowing, heard: People | None = None) -> None:
        self._front_end = Mfcc(spec)
        self._filmed, self._heard, self._how = filmed, heard, rowing

    def draw(self, rng: np.random.Generator) -> Rows:
        """Cepstra (b, n, 12), faces (b, n, 48, 2), mouths (b, n, 20, 2)."""
        rows = [self._row(rng) for _ in range(self._how.batch)]
        cepstra, faces, mouths = (torch.from_numpy(np.stack(each)) for each in zip(*rows, strict=True))
        return cepstra, faces, mouths

    def _row(self, rng: np.random.Generator) -> tuple[Array, Array, Array]:
        delay, frames = self._how.delay, self._how.frames
        people = self._heard if self._heard and rng.random() < self._how.taught else self._filmed
        talk = people.drawn(rng, frames + delay)
        start = int(rng.integers(0, len(talk.power) - frames - delay + 1))
        heard, seen = slice(start + delay, start + delay + frames), slice(start, start + frames)
        around = np.broadcast_to(talk.resting, talk.around[seen].shape) if self._how.resting else talk.around[seen]
        if rng.random() < VOICELESS:
            cepstra = np.zeros((frames, self._front_end.spec.features), np.float32)
            mouth = np.broadcast_to(REST, talk.mouth[seen].shape)
        else:
            cepstra, mouth = self._front_end.cepstra(changed(talk.power[heard], rng)), talk.mouth[seen]
        return cepstra, *self._placed(around, mouth, rng)

    def _placed(self, around: Array, mouth: Array, rng: np.random.Generator) -> tuple[Array, Array]:
        """The whole face a little smaller or larger, and somewhere else in the crop."""
        scale = np.float32(1 + rng.uniform(-self._how.shrink, self._how.shrink))
        shift = rng.uniform(-self._how.shift_px, self._how.shift_px, 2).astype(np.float32)
        middle = np.float32(128.0)
        around, mouth = ((each - middle) * scale + middle + shift for each in (around, mouth))
        return np.asarray(around, np.float32), np.asarray(mouth, np.float32)


def changed(power: Array, rng: np.random.Generator) -> Array:
    """Another vocal tract, microphone and room for what the filters let through (n, filters)."""
    power = warp(power, float(np.exp(rng.normal(0, WARP)))) * random_curve(rng, power.shape[1], TILT_DB)
    if rng.random() < NOISY:
        level = power.mean() * 10 ** (-rng.uniform(*SNR_DB) / 10)
        grain = rng.gamma(4.0, 0.25, power.shape).astype(np.float32)
        power = power + np.float32(level) * grain * random_curve(rng, power.shape[1], NOISE_DB)
    return np.asarray(power, np.float32)
