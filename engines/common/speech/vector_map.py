"""The Whisper encoder's vectors as their principal components."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from engines.common import Array
from engines.common.dataset import Dataset, Entry, evenly
from engines.common.speech.whisper import SIZE

FITTED = 600  # tracks that the components are found from


class VectorMap(nn.Module):
    """Vectors (..., 512) to their first components (..., count), each of mean square 1 over speech."""

    mean: Tensor  # (512,)
    components: Tensor  # (512, count)
    weight: Tensor  # (count,) how much each counts in a loss: with the root of its part, mean 1

    def __init__(self, count: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(SIZE))
        self.register_buffer("components", torch.zeros(SIZE, count))
        self.register_buffer("weight", torch.ones(count))

    def forward(self, vectors: Tensor) -> Tensor:
        return (vectors - self.mean) @ self.components

    def fit(self, dataset: Dataset, entries: list[Entry]) -> None:
        """Find the components from some of the tracks, evenly chosen."""
        some = np.concatenate([dataset.vectors(entry) for entry in evenly(entries, FITTED)]).astype(np.float64)
        mean = some.mean(0)
        values, axes = np.linalg.eigh(np.cov(some - mean, rowvar=False))
        count = self.components.shape[1]
        spread = np.sqrt(np.maximum(values[::-1][:count], 1e-12))
        self.mean.copy_(torch.from_numpy(mean))
        self.components.copy_(torch.from_numpy(axes[:, ::-1][:, :count] / spread))
        self.weight.copy_(torch.from_numpy(spread / spread.mean()))

    def of(self, vectors: Array) -> Array:
        """As :meth:`forward`, of arrays, in half precision."""
        return np.asarray(self(torch.from_numpy(vectors.astype(np.float32))).numpy(), np.float16)
