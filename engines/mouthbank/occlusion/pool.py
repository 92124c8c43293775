"""The scenes of a run, made once: one takes some milliseconds, as long as the net takes to learn from it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from engines.common import Array
from engines.mouthbank.occlusion.faces import Faces
from engines.mouthbank.occlusion.scenes import scene

MOUTH_COUNTS = 3  # as much as another pixel
GAIN, NOISE = (
    0.25,
    0.01,
)  # spread of the light, in its logarithm, and of noise, by which a scene differs when it returns
SEED = 2  # beside the run's


@dataclass(frozen=True, eq=False)
class Pool:
    """Scenes, packed: BGR, the drawing's two channels, the truth, and how much a pixel counts."""

    packed: Array  # (n, size, size, 7) uint8

    @classmethod
    def made(cls, faces: Faces, count: int, seed: int, path: Path) -> Pool:
        """Those of ``path``, which is written whole or not at all where it is not there."""
        if not path.exists():
            rows = []
            for number in range(count):
                each = scene(faces, np.random.default_rng([seed, SEED, number]))
                weight = each.counts * (1 + (MOUTH_COUNTS - 1) * each.mouth)
                layers = [*each.drawing, np.rint(255 * each.covered), weight]
                rows.append(np.concatenate([each.image, np.stack(layers, -1).astype(np.uint8)], -1))
            partial = path.with_suffix(".part.npy")
            np.save(partial, np.stack(rows))
            partial.replace(path)
        return cls(np.load(path, allow_pickle=False))

    def draw(self, rng: np.random.Generator, batch: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Images, drawings, truth and weights of some, mirrored or not, each time in another light."""
        chosen = self.packed[np.sort(rng.integers(0, len(self.packed), batch))]
        if rng.random() < 0.5:
            chosen = chosen[:, :, ::-1]
        drawn = torch.from_numpy(chosen.transpose(0, 3, 1, 2).astype(np.float32))
        gain = torch.from_numpy(
            np.exp(rng.normal(0, GAIN, (batch, 1, 1, 1)) + rng.normal(0, GAIN / 4, (batch, 3, 1, 1)))
        )
        noise = NOISE * torch.from_numpy(rng.standard_normal((batch, 3, *drawn.shape[2:]), np.float32))
        image = torch.clamp(drawn[:, :3] / 255 * gain.float() + noise, 0, 1)
        return image, drawn[:, 3:5] / 255, drawn[:, 5] / 255, drawn[:, 6]
