"""Batches for painters: a face, another one of the same track, and what is heard around the first."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from engines.common import Array
from engines.lipgan.faces import Faces

FEW = 3  # one in so many has a mouth that counts as little open


@dataclass(frozen=True, eq=False)
class Batch:
    """Of ``b`` rows; faces BGR in 0..1."""

    rows: Array  # (b,)
    mel: Tensor  # (b, frames, 80)
    face: Tensor  # (b, 3, size, size)
    reference: Tensor  # (b, 3, size, size)

    def to(self, device: torch.device) -> Batch:
        return Batch(self.rows, self.mel.to(device), self.face.to(device), self.reference.to(device))


class Draws:
    """Draws from all people. ``evened``: 0 draws all tracks alike, 1 all people; at a half, of who has four times as
    many tracks twice as many are drawn.

    ``shut``: share of the rows whose other face is one of those with the least open mouths, as it is in use;
    ``wide``: of those whose own mouth is one of the most open, since most of the time none is.
    """

    def __init__(self, faces: Faces, batch: int, shut: float = 0.0, wide: float = 0.0, evened: float = 0.5) -> None:
        self._faces, self._batch, self._shut, self._wide = faces, batch, shut, wide
        speakers = faces.index.speakers.tolist()
        counts = Counter(speakers)
        weights = np.array([counts[name] ** -evened for name in speakers])
        self._chances = weights / weights.sum()

    def rows(self, rng: np.random.Generator, count: int) -> list[int]:
        """Faces, each of a track drawn anew."""
        tracks = rng.choice(len(self._chances), count, p=self._chances)
        return [int(rng.choice(self._own(rng, int(track)))) for track in tracks]

    def _own(self, rng: np.random.Generator, track: int) -> Array:
        found = np.asarray(self._faces.rows(track))
        if rng.random() >= self._wide:
            return found
        return found[np.argsort(self._faces.index.opening[found])[-(len(found) // FEW) :]]

    def draw(self, rng: np.random.Generator) -> Batch:
        rows = self.rows(rng, self._batch)
        others = [int(rng.choice(self._others(rng, row))) for row in rows]
        return made_of(self._faces, rows, others)

    def _others(self, rng: np.random.Generator, row: int) -> Array:
        found = self._faces.others(row)
        return found[: -(-len(found) // FEW)] if rng.random() < self._shut else found


def made_of(faces: Faces, rows: list[int], others: list[int]) -> Batch:
    """The batch of these faces, with those beside them."""
    mel = torch.from_numpy(faces.windows(rows))
    return Batch(np.array(rows), mel, as_tensor(faces.images[rows]), as_tensor(faces.images[others]))


def shown(faces: Faces, track: int, every: int = 1) -> Batch:
    """A track as a validation shows it: beside each face the one with the least open mouth, as in use."""
    own = list(faces.rows(track))[::every]
    return made_of(faces, own, [int(faces.others(row)[0]) for row in own])


def as_tensor(images: Array) -> Tensor:
    """Images (n, size, size, 3) uint8 as nets take them: (n, 3, size, size) in 0..1."""
    planes = np.ascontiguousarray(np.asarray(images).transpose(0, 3, 1, 2))
    return torch.from_numpy(planes).float() / 255


def as_images(faces: Tensor) -> Array:
    """What nets give (n, 3, size, size) as images (n, size, size, 3) uint8."""
    return np.asarray((faces.detach().float().clamp(0, 1) * 255).round().byte().cpu().numpy().transpose(0, 2, 3, 1))
