"""What the speaker net learns from: spectrograms of people who are told apart by name, and how these are changed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engines.common import Array
from engines.common.dataset import Dataset, Entry, evenly
from realtime_dub.audio.frontends.voice_mel import AT_16K, VoiceMel
from realtime_dub.errors import ConfigError

LEAST = 60  # frames of a clip
MOST = 600  # of its beginning
TILT = 0.7  # nats by which a room and a microphone change bands
QUIET, LOUD = 3.0, 8.0  # nats below the loudest frame where noise is


@dataclass(frozen=True, eq=False)
class Said:
    """A clip of somebody."""

    entry: Entry
    mel: Array  # (n, 80) float16

    @property
    def speaker(self) -> str:
        return speaker_of(self.entry)


def speaker_of(entry: Entry) -> str:
    """Names are told apart by corpus."""
    return f"{entry.corpus}/{entry.speaker}"


def read_said(dataset: Dataset, part: str, most: int, alone: bool = True) -> list[Said]:
    """Up to ``most`` clips of each speaker of a part; ``alone``: also of those with a single one.

    Raises ConfigError where there are fewer than two speakers.
    """
    own: dict[str, list[Entry]] = defaultdict(list)
    for entry in dataset.entries:
        if entry.part == part and entry.speaker:
            own[speaker_of(entry)].append(entry)
    chosen = [each for entries in own.values() if alone or len(entries) > 1 for each in evenly(entries, most)]
    found = [Said(entry, mel_of(dataset.audio(entry))) for entry in chosen]
    said = [each for each in found if len(each.mel) >= LEAST]
    if len({each.speaker for each in said}) < 2:
        raise ConfigError("no two speakers for", f"{part} in {dataset}", "add folders with more people")
    return said


def mel_of(sound: Array) -> Array:
    """(n, 80) float16 of the beginning of a sound (m,) at 16 kHz."""
    front_end = VoiceMel(AT_16K)
    sound = sound[: MOST * AT_16K.hop]
    return np.concatenate([front_end.process(sound), front_end.finish()]).astype(np.float16)


def piece(mel: Array, frames: int, rng: np.random.Generator) -> Array:
    """So many frames of a spectrogram, from anywhere; a shorter one is said again."""
    mel = np.tile(mel, (-(-frames // len(mel)), 1)).astype(np.float32)
    first = int(rng.integers(0, len(mel) - frames + 1))
    return mel[first : first + frames]


def changed(mel: Array, rng: np.random.Generator) -> Array:
    """As another microphone and another room would have it: bands louder and quieter, and noise in one half of all."""
    bands = np.linspace(0, np.pi, mel.shape[1])
    waves = [np.cos(k * bands + rng.uniform(0, 2 * np.pi)) * rng.normal(0, TILT / k) for k in (1, 2, 3)]
    mel = mel + np.sum(waves, 0)
    if rng.random() < 0.5:
        slope = rng.normal(0, TILT) * np.cos(bands)
        noise = np.quantile(mel.max(1), 0.9) - rng.uniform(QUIET, LOUD) + slope
        mel = np.logaddexp(mel, noise + rng.normal(0, 0.5, mel.shape))
    return np.asarray(mel, np.float32)


def equal_errors(alike: Array, unlike: Array) -> float:
    """The share of errors where as many pairs of one person are refused as pairs of two are taken, by similarity."""
    scores = np.concatenate([alike, unlike])
    own = np.concatenate([np.ones(len(alike)), np.zeros(len(unlike))])[np.argsort(scores, kind="stable")]
    refused = np.cumsum(own) / len(alike)  # with a threshold behind each score
    taken = 1 - np.cumsum(1 - own) / len(unlike)
    at = int(np.argmin(np.abs(refused - taken)))
    return float((refused[at] + taken[at]) / 2)


def pairs(vectors: Array, said: Sequence[Said]) -> tuple[Array, Array]:
    """Cosines of all pairs of clips of one corpus: of one person, of two. Vectors (n, 256) of length 1."""
    who = np.array([each.speaker for each in said])
    corpus = np.array([each.entry.corpus for each in said])
    first, second = np.triu_indices(len(said), 1)
    near = corpus[first] == corpus[second]
    first, second = first[near], second[near]
    scores = (vectors[first] * vectors[second]).sum(1)
    same = who[first] == who[second]
    return scores[same], scores[~same]
