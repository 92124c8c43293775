"""Layers that several nets are made of."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class CausalConv(nn.Module):
    """A dilated convolution whose past is handed in, and handed back for the next chunk."""

    def __init__(self, inputs: int, outputs: int, kernel: int, dilation: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(inputs, outputs, kernel, dilation=dilation)
        self.past = (kernel - 1) * dilation

    def forward(self, x: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        """``x`` (b, c, n) after ``past`` (b, c, self.past)."""
        joined = torch.cat([past, x], dim=2)
        return self.conv(joined), joined[:, :, -self.past :]


@contextmanager
def held(part: nn.Module) -> Iterator[None]:
    """Its weights get no gradients meanwhile."""
    part.requires_grad_(False)
    try:
        yield
    finally:
        part.requires_grad_(True)
