"""Batches for painters: a face, another one of the same track, and what is heard around the first."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from engines.common import Array
from engines.lipgan.faces import Faces
from engines.lipgan.voices import Voices
from realtime_dub.media import Floats

FEW = 3  # one in so many has a mouth that counts as little open
AROUND = 40  # frames on each side of a window, that are disturbed with it


@dataclass(frozen=True, eq=False)
class Batch:
    """Of ``b`` rows; faces BGR in 0..1."""

    rows: Array  # (b,)
    mel: Tensor  # (b, frames, 80)
    face: Tensor  # (b, 3, size, size)
    reference: Tensor  # (b, 3, size, size)
    points: Tensor  # (b, 2, 168, 2): the lower face's in the one and in the other, pixels

    def to(self, device: torch.device) -> Batch:
        mel, face, reference, points = (each.to(device) for each in (self.mel, self.face, self.reference, self.points))
        return Batch(self.rows, mel, face, reference, points)


class Draws:
    """Draws from all people. ``evened``: 0 draws all tracks alike, 1 all people; at a half, of who has four times as
    many tracks twice as many are drawn.

    ``shut``: share of the rows whose other face is one of those with the least open mouths, as it is in use;
    ``wide``: of those whose own mouth is one of the most open, since most of the time none is. ``voices`` makes what
    is heard sound otherwise.
    """

    def __init__(
        self,
        faces: Faces,
        batch: int,
        shut: float = 0.0,
        wide: float = 0.0,
        evened: float = 0.5,
        voices: Voices | None = None,
    ) -> None:
        self._faces, self._batch, self._shut, self._wide, self._voices = faces, batch, shut, wide, voices
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
        batch = made_of(self._faces, rows, others)
        return batch if self._voices is None else replace(batch, mel=torch.from_numpy(self._heard(rows, rng)))

    def _heard(self, rows: list[int], rng: np.random.Generator) -> Floats:
        """What is heard around faces, otherwise: each with as much around it as makes a background one."""
        assert self._voices is not None
        stretches = [self._voices(each, rng) for each in self._faces.windows(rows, AROUND)]
        return np.stack(stretches)[:, AROUND:-AROUND]

    def _others(self, rng: np.random.Generator, row: int) -> Array:
        found = self._faces.others(row)
        return found[: -(-len(found) // FEW)] if rng.random() < self._shut else found


def made_of(faces: Faces, rows: list[int], others: list[int]) -> Batch:
    """The batch of these faces, with those beside them."""
    mel = torch.from_numpy(faces.windows(rows))
    points = np.stack([faces.index.points[rows], faces.index.points[others]], 1).astype(np.float32)
    face, other = (as_tensor(faces.images[each]) for each in (rows, others))
    return Batch(np.array(rows), mel, face, other, torch.from_numpy(points))


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
