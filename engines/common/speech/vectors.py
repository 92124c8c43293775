"""Tracks that the Whisper encoder has listened to, as a net learns from them."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from engines.common import Array
from engines.common.augment import Augmentation, mild
from engines.common.dataset import Dataset, Entry, usable
from engines.common.speech.data import Speech
from engines.common.speech.inventory import INDEX, SIL, UNKNOWN
from engines.common.speech.network import STRIDE
from engines.common.speech.vector_map import VectorMap
from realtime_dub.audio.frontends.logmel import LogMelSpec

LATE = 8  # frames of 10 ms by which a net that learns vectors is later than they are
WARM_UP = 20  # outputs at a row's start that have no past to judge by
NONE = -1  # the place of a vector where there is none


class ListenedSpeech(Speech):
    """Tracks that the encoder has listened to. A frame's targets are its label and the place of its vector.

    ``tables``: by name, what belongs to each vector of a track (m, k); kept one below the other, in half precision.
    The label is :data:`UNKNOWN` where somebody speaks and nothing is aligned.
    """

    def __init__(
        self,
        dataset: Dataset,
        entries: list[Entry],
        spec: LogMelSpec,
        seed: int,
        vector_map: VectorMap,
        augmentation: Augmentation = mild,
    ) -> None:
        self._dataset, self._map = dataset, vector_map
        self._aligned = {entry.name for entry in usable(dataset.entries)}
        self._rows: dict[str, list[Array]] = {}
        self._count = 0
        super().__init__(dataset, entries, spec, seed, augmentation)
        self.tables = {name: torch.from_numpy(np.concatenate(rows)) for name, rows in self._rows.items()}
        self._rows.clear()

    def told(self, entry: Entry, vectors: Array, log_power: Array) -> dict[str, Array]:
        """What is kept of a track's vectors (m, 512), by name (m, k)."""
        return {"vectors": self._map.of(vectors)}

    def clip(self, dataset: Dataset, entry: Entry) -> tuple[Array, Array]:
        vectors, log_power = dataset.vectors(entry), dataset.power(entry)
        frames = min(len(log_power), len(vectors) * STRIDE)
        places = self._count + np.arange(frames) // STRIDE
        self._count += len(vectors)
        for name, rows in self.told(entry, vectors, log_power).items():
            self._rows.setdefault(name, []).append(rows.astype(np.float16))
        labels = track_labels(dataset, entry, entry.name in self._aligned, frames)
        return log_power[:frames], np.stack([labels.astype(np.int32), places.astype(np.int32)], 1)

    def rest(self, frames: int) -> Array:
        return np.tile(np.array([[INDEX[SIL], NONE]], np.int32), (frames, 1))

    def batch(self, rng: np.random.Generator, size: int, frames: int) -> tuple[Tensor, Tensor, Tensor]:
        """Features (size, frames, bands), labels (size, frames) and places in the tables (size, frames)."""
        rows = [self.row(rng, frames) for _ in range(size)]
        mel = self.front_end.compress(np.stack([power for power, _ in rows]))
        targets = torch.from_numpy(np.stack([target for _, target in rows]).astype(np.int64))
        return torch.from_numpy(mel), targets[..., 0], targets[..., 1]


def track_labels(dataset: Dataset, entry: Entry, aligned: bool, frames: int) -> Array:
    """The class (frames,) of a track's frames, or only whether somebody speaks."""
    if aligned:
        return dataset.phones(entry)[1][:frames].astype(np.int32)
    speaks = np.zeros(frames, bool)
    heard = dataset.activity(entry)[:frames]
    speaks[: len(heard)] = heard
    return np.where(speaks, UNKNOWN, INDEX[SIL])


def looked_up(table: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
    """Rows (..., k) of a table, and where there are any (...)."""
    known = places >= 0
    return table[places.clamp(min=0)].float(), known


def vector_loss(found: Tensor, table: Tensor, places: Tensor, weight: Tensor) -> Tensor:
    """How far components (b, m, k) at every ``STRIDE``-th frame are from those of the places (b, n)."""
    late = LATE // STRIDE
    target, known = looked_up(table, places[:, ::STRIDE][:, : found.shape[1] - late][:, WARM_UP:])
    error = nn.functional.smooth_l1_loss(found[:, late:][:, WARM_UP:], target, beta=0.5, reduction="none")
    return (error @ weight / len(weight) * known).sum() / (known.sum() + 1)
