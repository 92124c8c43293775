"""Batches for the speech net: crops of many voices, disturbed anew each time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from engines.common import Array
from engines.common.augment import Augmentation, babble, make_noises, mild, noise_like, switched_on
from engines.common.dataset import Dataset, Entry
from engines.common.no_voice import OtherSounds
from engines.common.speech.inventory import INDEX, SIL
from engines.common.speech.rooms import music, reverberate, stretch
from realtime_dub.audio.frontends.logmel import LogMel, LogMelSpec

# Of the time heard; corpora that are not there leave theirs to the others, any other one has a share of 1.
SHARES = {
    "Common Voice 13": 5.0,
    "Common Voice 6.1": 4.0,
    "speechocean762": 2.5,
    "flite": 1.0,
    "espeak-ng": 1.5,
}
WOMEN = 0.5  # of each corpus' time, as far as a clip comes no more than MOST times as often for it
MOST = 4.0
NO_VOICE = 0.1  # share of rows in which the person does not speak
NOTHING_ELSE = 0.4  # of these with a noise alone
DISTRACTED = 0.4  # share of rows of speech with other sounds in the pauses
DEAD_LINE = 0.15  # share of rows in which the line is dead in some pauses
PAUSE = (20, 120)  # frames put between two clips of some rows
SPEECH_LEVEL = 10**-1.9  # of a clip of the corpora, as a rule


def clip_weights(entries: list[Entry], seconds: Sequence[float]) -> Array:
    """How often to draw each clip (n,), sum 1: corpora by their share, women up to half of each."""
    weights = np.array(seconds, np.float64)
    by_corpus: dict[str, list[int]] = defaultdict(list)
    for index, entry in enumerate(entries):
        by_corpus[entry.corpus].append(index)
    for corpus, places in by_corpus.items():
        women = [i for i in places if entries[i].gender == "female"]
        share = weights[women].sum() / weights[places].sum()
        if 0 < share < WOMEN:
            weights[women] *= min(MOST, WOMEN / (1 - WOMEN) * (1 - share) / share)
        weights[places] *= SHARES.get(corpus, 1.0) / weights[places].sum()
    return weights / weights.sum()


class Speech:
    """Aligned tracks in memory, and what is drawn from them."""

    def __init__(
        self, dataset: Dataset, entries: list[Entry], spec: LogMelSpec, seed: int, augmentation: Augmentation = mild
    ) -> None:
        self._augmentation = augmentation
        self.front_end = LogMel(spec)
        self._clips = [self.clip(dataset, entry) for entry in entries]
        self._weights = np.cumsum(clip_weights(entries, [len(power) for power, _ in self._clips]))
        rng = np.random.default_rng([seed, 11])
        some = [np.exp(self._clips[i][0].astype(np.float32)) for i in rng.integers(0, len(entries), 60)]
        self._noises = [
            *make_noises(spec, rng),
            *(babble(some, rng) for _ in range(4)),
            *(music(spec, rng) for _ in range(4)),
        ]
        self._others = OtherSounds(spec, rng, some)
        self._noises += self._others.backgrounds[::4]

    def clip(self, dataset: Dataset, entry: Entry) -> tuple[Array, Array]:
        """Log powers (n, bands) of a track and what belongs to a frame (n, ...): its label, which stands first."""
        return dataset.phones(entry)

    def rest(self, frames: int) -> Array:
        """What belongs to frames in which nobody speaks (frames, ...)."""
        return np.zeros(frames, np.uint8)

    @property
    def noises(self) -> list[Array]:
        """Backgrounds (n, bands) of mean power 1."""
        return self._noises

    def mel(self, count: int = 300) -> Array:
        """Clean features of some clips (n, bands), for the bands' statistics."""
        rng = np.random.default_rng(5)
        powers = [np.exp(self._pick(rng)[0].astype(np.float32)) for _ in range(count)]
        return self.front_end.compress(np.concatenate(powers))

    def _pick(self, rng: np.random.Generator) -> tuple[Array, Array]:
        return self._clips[min(int(np.searchsorted(self._weights, rng.random())), len(self._clips) - 1)]

    def draw(self, rng: np.random.Generator, size: int, frames: int) -> tuple[Tensor, Tensor]:
        """Features (size, frames, bands) and labels (size, frames)."""
        rows = [self.row(rng, frames) for _ in range(size)]
        mel = self.front_end.compress(np.stack([power for power, _ in rows]))
        labels = np.stack([labels for _, labels in rows]).astype(np.int64)
        return torch.from_numpy(mel), torch.from_numpy(labels)

    def row(self, rng: np.random.Generator, frames: int) -> tuple[Array, Array]:
        """One disturbed row: powers (frames, bands) and targets (frames, ...)."""
        power, targets = self.voices(rng, frames)
        power = elsewhere(power, self._noises, rng, self._augmentation)
        return switched_on(power, _silent(targets), rng) if rng.random() < DEAD_LINE else power, targets

    def voices(self, rng: np.random.Generator, frames: int) -> tuple[Array, Array]:
        """One undisturbed row at a random speed, clips one after another, each cut at random; or no voice at all."""
        if rng.random() < NO_VOICE:
            return self._no_voice(rng, frames), self.rest(frames)
        powers, labels, missing = [], [], frames
        distracted = rng.random() < DISTRACTED
        while missing > 0:
            for power, own in (self._spoken(rng, missing), *(self._pause(rng) if distracted else ())):
                powers.append(power[:missing])
                labels.append(own[:missing])
                missing -= len(own[:missing])
        power, targets = np.concatenate(powers), np.concatenate(labels)
        return self._others.among(rng, power, _silent(targets)) if distracted else power, targets

    def _no_voice(self, rng: np.random.Generator, frames: int) -> Array:
        if rng.random() < NOTHING_ELSE:
            return noise_like(self._noises, rng, frames) * np.float32(10 ** (rng.uniform(-90, -25) / 10))
        return self._others.row(rng, frames, SPEECH_LEVEL)

    def _spoken(self, rng: np.random.Generator, missing: int) -> tuple[Array, Array]:
        logarithm, spoken = self._pick(rng)
        start = int(rng.integers(0, max(1, len(spoken) - missing // 2)))
        stop = start + int(1.4 * missing) + 2
        return stretch(np.exp(logarithm[start:stop].astype(np.float32)), spoken[start:stop], _speed(rng))

    def _pause(self, rng: np.random.Generator) -> list[tuple[Array, Array]]:
        frames = int(rng.integers(*PAUSE))
        return [(noise_like(self._noises, rng, frames) * np.float32(10 ** rng.uniform(-8, -5)), self.rest(frames))]


def _silent(targets: Array) -> Array:
    """In which frames (n,) of targets (n, ...) nobody speaks; a frame's label stands first."""
    return np.asarray(targets.reshape(len(targets), -1)[:, 0] == INDEX[SIL])


def _speed(rng: np.random.Generator) -> float:
    return float(np.exp(rng.uniform(-0.22, 0.3))) if rng.random() < 0.6 else 1.0


def elsewhere(power: Array, noises: list[Array], rng: np.random.Generator, augmentation: Augmentation = mild) -> Array:
    """Another voice, room, line and background for a row (n, bands). One in five stays nearly as it is."""
    if rng.random() < 0.3:
        power = reverberate(power, rng.uniform(0.1, 0.6), rng.uniform(0.1, 0.7))
    if rng.random() < 0.2:
        return power * np.float32(10 ** (rng.uniform(-15, 6) / 10))
    return augmentation(power, noises, rng)
