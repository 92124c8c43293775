"""Batches for the motion net, its basis of mouth motion, and its losses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from engines.common import Array
from engines.common.augment import Augmentation, babble, make_noises, mild, noise_like, switched_on, vary
from engines.common.grid import Clip, Example, make_example
from engines.common.loop import Losses
from engines.common.metrics import LIPS_AT, OPENING_AT
from engines.common.no_voice import OtherSounds
from engines.common.speakers import evened
from engines.mouthbank.network import LOOK_AHEAD, GivesMotion
from realtime_dub.audio.frontends.logmel import LogMel, LogMelSpec

OWN_SPEEDS = (1.0, 1.0, 0.93, 1.07)
SPEEDS = (1.0, 0.85, 0.93, 1.07, 1.15, 1.3)
LIPS_WEIGHT, DEPTH_WEIGHT = 3.0, 0.5
DISTRACTED = 0.4  # share of disturbed rows with other sounds in the pauses
DEAD_LINE = 0.2  # share of disturbed rows in which the line is dead in some pauses
SPEECH_LEVEL = 10**-0.85  # of the filmed speaker's sound


@dataclass(frozen=True, eq=False)
class Basis:
    """Principal components of motion about rest, with lips weighted up. A coefficient has mean square 1."""

    components: Array  # (k, points * 3): motion = coefficients @ components
    analysis: Array  # (points * 3, k): coefficients = motion @ analysis
    spread: Array  # (k,) root mean square of each component in weighted space
    explained: dict[str, float]  # share of the motion's energy

    def coefficients(self, motion: Array) -> Array:
        """Motion (n, points, 3) in the basis (n, k)."""
        return np.asarray(motion.reshape(len(motion), -1) @ self.analysis, np.float32)


def make_basis(motion: Array, count: int) -> Basis:
    """The basis of motions (n, points, 3). Not centred: coefficients of zero are rest."""
    flat = motion.reshape(len(motion), -1).astype(np.float64)
    weights = np.ones(motion.shape[1:])
    weights[LIPS_AT] = LIPS_WEIGHT
    weights[:, 2] *= DEPTH_WEIGHT
    w = weights.reshape(-1)
    values, vectors = np.linalg.eigh((flat * w).T @ (flat * w) / len(flat))
    vectors, spread = vectors[:, ::-1][:, :count], np.sqrt(np.maximum(values[::-1][:count], 1e-12))
    components = (spread * vectors / w[:, None]).T
    analysis = w[:, None] * vectors / spread
    rest = ((flat - flat @ analysis @ components) ** 2).reshape(motion.shape)
    lips = [rest[:, LIPS_AT, :2].sum() / (motion[:, LIPS_AT, :2].astype(np.float64) ** 2).sum()]
    explained = {"lips": 1 - float(lips[0]), "lower_face": 1 - float(rest.sum() / (flat**2).sum())}
    return Basis(components.astype(np.float32), analysis.astype(np.float32), spread.astype(np.float32), explained)


@dataclass(frozen=True, eq=False)
class Item:
    """An example in the basis."""

    power: Array
    coefficients: Array
    speech: Array


class Batches:
    """Training batches: some of each in the talker's own voice, the rest disturbed, and one item without a voice."""

    def __init__(
        self,
        clips: list[Clip],
        basis: Basis,
        spec: LogMelSpec,
        size: int,
        frames: int,
        seed: int,
        augmentation: Augmentation = mild,
        own_every: int = 2,
    ) -> None:
        self._own_every = own_every
        self._augmentation = augmentation
        self._front_end = LogMel(spec)
        self._basis, self._size, self._frames = basis, size, frames
        self._items = {s: [self._item(make_example(clip, spec, s)) for clip in clips] for s in SPEEDS}
        self._shares = np.cumsum(evened([clip.speaker for clip in clips]))
        rng = np.random.default_rng([seed, 7])
        powers = [item.power for item in self._items[1.0][:200]]
        self._noises = [*make_noises(spec, rng), *(babble(powers, rng) for _ in range(4))]
        self._others = OtherSounds(spec, rng, powers)

    def _item(self, example: Example) -> Item:
        return Item(example.power, self._basis.coefficients(example.motion), example.speech)

    def all_mel(self) -> Array:
        """The clean features of every training clip (n, bands)."""
        return np.concatenate([self._front_end.compress(item.power) for item in self._items[1.0]])

    def draw(self, rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Features (b, n, bands), coefficients (b, n, k) and speech (b, n)."""
        rows = [self._voiced(rng, own=index % self._own_every == 0) for index in range(self._size - 1)]
        rows.append(self._voiceless(rng))
        power, coefficients, speech = (np.stack(column) for column in zip(*rows, strict=True))
        mel = self._front_end.compress(power)
        return torch.from_numpy(mel), torch.from_numpy(coefficients), torch.from_numpy(speech)

    def _voiced(self, rng: np.random.Generator, own: bool) -> tuple[Array, Array, Array]:
        item = self._drawn(rng, OWN_SPEEDS if own else SPEEDS)
        power = vary(item.power, self._noises, rng) if own else self._changed(item, rng)
        start = int(rng.integers(0, len(power) - self._frames + 1))
        cut = slice(start, start + self._frames)
        return power[cut], item.coefficients[cut], item.speech[cut]

    def _drawn(self, rng: np.random.Generator, speeds: tuple[float, ...]) -> Item:
        """A clip, or as many one after another as fill a row."""
        items = self._items[speeds[rng.integers(len(speeds))]]
        parts = [items[self._place(rng)]]
        while sum(len(part.power) for part in parts) < self._frames:
            parts.append(items[self._place(rng)])
        power, coefficients, speech = (
            np.concatenate([getattr(part, name) for part in parts]) for name in ("power", "coefficients", "speech")
        )
        return Item(power, coefficients, speech)

    def _place(self, rng: np.random.Generator) -> int:
        return min(int(np.searchsorted(self._shares, rng.random())), len(self._shares) - 1)

    def _changed(self, item: Item, rng: np.random.Generator) -> Array:
        power = item.power
        if rng.random() < DISTRACTED:
            power = self._others.among(rng, power, item.speech == 0)
        power = self._augmentation(power, self._noises, rng)
        return switched_on(power, item.speech == 0, rng) if rng.random() < DEAD_LINE else power

    def _voiceless(self, rng: np.random.Generator) -> tuple[Array, Array, Array]:
        if rng.random() < 0.5:
            level = 10 ** (rng.uniform(-90, -25) / 10) if rng.random() < 0.8 else 0.0
            power = noise_like(self._noises, rng, self._frames) * level
        else:
            power = self._others.row(rng, self._frames, SPEECH_LEVEL * 10 ** rng.uniform(-2, 0.3))
        nothing = np.zeros((self._frames, len(self._basis.components)), np.float32)
        return power.astype(np.float32), nothing, np.zeros(self._frames, np.float32)


class MotionLoss:
    """The parts of the loss, each in units of the quantity's own spread."""

    def __init__(self, basis: Basis) -> None:
        points = basis.components.reshape(len(basis.components), -1, 3)
        lips = points[:, LIPS_AT, :2].reshape(len(points), -1)
        gaps = (points[:, OPENING_AT[:, 1], 1] - points[:, OPENING_AT[:, 0], 1]).mean(1)
        self._weights = torch.from_numpy(basis.spread / basis.spread[0])
        self._lips = torch.from_numpy(lips / np.sqrt((lips**2).sum(0).mean()))
        self._gaps = torch.from_numpy(gaps / np.sqrt((gaps**2).sum()))

    def to(self, device: torch.device) -> MotionLoss:
        """This, computing on ``device``."""
        self._weights, self._lips, self._gaps = (x.to(device) for x in (self._weights, self._lips, self._gaps))
        return self

    def __call__(self, net: GivesMotion, mel: Tensor, target: Tensor, speech: Tensor) -> Losses:
        found, logit, _ = net.coefficients(mel, net.initial_state(len(mel)))
        late = slice(LOOK_AHEAD, None)
        return self.compare(found[:, late], logit[:, late], target[:, :-LOOK_AHEAD], speech[:, :-LOOK_AHEAD])

    def compare(self, found: Tensor, logit: Tensor, target: Tensor, spoken: Tensor, span: int = 4) -> Losses:
        """Coefficients (b, n, k) and logits (b, n) with what they should be; velocity is over ``span`` of them."""
        with torch.autocast(found.device.type, enabled=False):
            return self._compare(found.float(), logit.float(), target, spoken, span)

    def _compare(self, found: Tensor, logit: Tensor, target: Tensor, spoken: Tensor, span: int) -> Losses:
        error = found - target
        lips = error @ self._lips
        # A lip contact missed is seen at once: openings near zero inside words weigh more.
        contact = torch.sigmoid(-4 * (target @ self._gaps) - 0.5) * spoken
        return {
            "basis": 0.5 * _huber(error * self._weights).sum(-1).mean(),
            "lips": _huber(lips).mean(),
            "opening": (_huber(error @ self._gaps) * (0.5 + 2 * contact)).mean(),
            "velocity": 0.5 * _huber(lips[:, span:] - lips[:, :-span]).mean(),
            "speech": 0.1 * nn.functional.binary_cross_entropy_with_logits(logit, spoken),
        }

    def lips(self, coefficients: Tensor) -> Tensor:
        """Where the lips' points stand (..., 80), in units of their spread."""
        return coefficients @ self._lips

    def opened(self, coefficients: Tensor) -> Tensor:
        """How far the lips stand open beyond rest, in units of its spread."""
        return coefficients @ self._gaps


def _huber(error: Tensor) -> Tensor:
    return nn.functional.smooth_l1_loss(error, torch.zeros_like(error), beta=0.5, reduction="none")
