"""The mouths of a run, cut out once into files, and the batches that are taken of them."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from engines.common import Array
from engines.mouthbank.inside.mouths import IMAGE, INNER, OUTER, Mouths
from engines.mouthbank.inside.network import in_white_light

NEAR = 3.0  # as often are mouths drawn that a near camera filmed


@dataclass(frozen=True)
class Batch:
    """Filmed mouths in white light, channels first, values 0..1."""

    image: Tensor  # (n, 3, size, size)
    drawing: Tensor  # (n, 2, size, size), what the outer and the inner lips enclose
    jaws: Tensor  # (n, 2, 4)
    frame: Tensor  # (n,) which of the pool's
    person: Tensor  # (n,) whose, as its camera knows them
    mirrored: Tensor  # (n,) 1, or -1 where left is right

    def to(self, device: torch.device) -> Batch:
        return Batch(*(each.to(device) for each in vars(self).values()))


@dataclass(frozen=True, eq=False)
class Pool:
    """Mouths that lie in files."""

    mouths: Mouths

    @staticmethod
    def save(mouths: Mouths, path: Path) -> None:
        """Whole or not at all: the pictures, which are many, and beside them what belongs to them."""
        partial = path.with_suffix(".part.npy")
        np.savez(path.with_suffix(".npz"), jaws=mouths.jaws, cameras=mouths.cameras)
        np.save(partial, mouths.packed)
        partial.replace(path)

    @classmethod
    def load(cls, path: Path) -> Pool:
        with np.load(path.with_suffix(".npz"), allow_pickle=False) as beside:
            return cls(Mouths(np.load(path, mmap_mode="r"), beside["jaws"], beside["cameras"]))

    def __len__(self) -> int:
        return len(self.mouths.jaws)

    @functools.cached_property
    def names(self) -> list[str]:
        """Of the cameras."""
        return sorted(set(self.mouths.cameras.tolist()))

    @functools.cached_property
    def _chances(self) -> Array:
        """Of each mouth (n,): every camera's as often, a near one's more often; wide ones more than others."""
        chances = self.mouths.packed[..., INNER].mean((1, 2))
        for name in self.names:
            own = self.mouths.cameras == name
            chances[own] *= (NEAR if name.endswith("near") else 1.0) / chances[own].sum()
        return np.asarray(chances / chances.sum())

    def draw(self, rng: np.random.Generator, count: int) -> Batch:
        """``count`` mouths, or their mirror images."""
        return self.batch(np.sort(rng.choice(len(self), count, p=self._chances)), mirrored=rng.random() < 0.5)

    def batch(self, rows: Array, mirrored: bool = False) -> Batch:
        """These mouths as nets take them."""
        packed, jaws = self.mouths.packed[rows], self.mouths.jaws[rows].copy()
        if mirrored:
            packed, jaws[..., 0] = packed[:, :, ::-1], packed.shape[2] - 1 - jaws[..., 0]
        pictures = torch.from_numpy(np.ascontiguousarray(packed.transpose(0, 3, 1, 2))).float() / 255
        person = torch.from_numpy(np.searchsorted(self.names, self.mouths.cameras[rows]))
        drawing = torch.stack([pictures[:, OUTER], pictures[:, INNER]], 1)
        return Batch(
            in_white_light(pictures[:, IMAGE], drawing),
            drawing,
            torch.from_numpy(jaws),
            torch.from_numpy(np.asarray(rows)),
            person,
            torch.full((len(rows),), -1.0 if mirrored else 1.0),
        )
