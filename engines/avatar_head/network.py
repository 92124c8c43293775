"""A causal WaveNet: features of a voice, place and velocity of the frame before, to those of the next.

After Lu, Chai, Cao: Live Speech Portraits (SIGGRAPH Asia 2021): two stacks of seven dilated convolutions with gates,
one Gaussian over place and velocity. Layer normalisation stands where the published net normalises over a batch.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from engines.common.layers import CausalConv

SLOPE = 0.2  # of the activations below zero
LEAST, MOST = -5.0, 1.5  # logarithm of the spread


@dataclass(frozen=True)
class Shape:
    """Sizes of the net, kept with its checkpoints."""

    features: int = 160
    steps: int = 2  # rows of features for a frame
    told: int = 128  # channels of what is heard
    channels: int = 128
    skip: int = 256
    layers: int = 7
    stacks: int = 2
    given: int = 12  # place and velocity
    dropout: float = 0.1

    @property
    def dilations(self) -> tuple[int, ...]:
        return tuple(2**layer for _ in range(self.stacks) for layer in range(self.layers))

    @property
    def receptive_field(self) -> int:
        """Frames that an output depends on."""
        return 1 + sum(self.dilations)


PUBLISHED = Shape(features=512, told=512)


class Block(nn.Module):
    """A gated dilated convolution: what goes on, and what is read at the end."""

    def __init__(self, shape: Shape, dilation: int) -> None:
        super().__init__()
        self.dilated = CausalConv(shape.channels, 2 * shape.channels, 2, dilation)
        self.told = nn.Conv1d(shape.told, 2 * shape.channels, 1)
        self.onward = nn.Conv1d(shape.channels, shape.channels, 1)
        self.skip = nn.Conv1d(shape.channels, shape.skip, 1)

    def forward(self, x: Tensor, told: Tensor, past: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """``x`` (b, channels, n) after ``past``: the next block's input, what is read, and the state after it."""
        y, past = self.dilated(x, past)
        shaped, gate = (y + self.told(told)).chunk(2, 1)
        y = torch.tanh(shaped) * torch.sigmoid(gate)
        return x + self.onward(y), self.skip(y), past


class HeadNet(nn.Module):
    """The one :meth:`sequence` serves training on many frames and streams of one."""

    feature_mean: Tensor  # (features,)
    feature_scale: Tensor  # (features,)

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.hear = nn.Linear(shape.features * shape.steps, shape.told)
        self.norm = nn.LayerNorm(shape.told)
        self.heard = nn.Linear(shape.told, shape.told)
        self.enter = nn.Conv1d(shape.given, shape.channels, 1)
        self.entered = nn.Conv1d(shape.channels, shape.channels, 1)
        self.blocks = nn.ModuleList(Block(shape, dilation) for dilation in shape.dilations)
        self.leave = nn.Conv1d(shape.skip, 2 * shape.given, 1)
        self.left = nn.Conv1d(2 * shape.given, 2 * shape.given, 1)
        self.drop = nn.Dropout1d(shape.dropout)
        self.register_buffer("feature_mean", torch.zeros(shape.features))
        self.register_buffer("feature_scale", torch.ones(shape.features))

    def initial_state(self, batch: int = 1) -> list[Tensor]:
        """Nothing before the first frame: one tensor (batch, channels, past) for each block."""
        device = self.feature_mean.device
        return [torch.zeros(batch, self.shape.channels, past, device=device) for past in self.shape.dilations]

    def sequence(self, windows: Tensor, before: Tensor, past: list[Tensor]) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Windows (b, n, steps, features) and places and velocities (b, n, 12) of the frames before.

        Mean and logarithm of the spread (b, n, 12) each, and the state after the last frame.
        """
        told = self._told(windows)
        x = _leaky(self.enter(self.drop(before.transpose(1, 2))))
        x = _leaky(self.entered(x))
        read, after = torch.zeros((), device=x.device), []
        for block, own in zip(self.blocks, past, strict=True):
            x, skipped, left = block(x, told, own)
            read = read + skipped
            after.append(left)
        found = self.left(_leaky(self.leave(_leaky(read)))).transpose(1, 2)
        mean, spread = found.chunk(2, 2)
        return mean, LEAST + (MOST - LEAST) * torch.sigmoid(spread), after

    def _told(self, windows: Tensor) -> Tensor:
        heard = ((windows - self.feature_mean) / self.feature_scale).flatten(2)
        return self.heard(_leaky(self.norm(self.hear(heard)))).transpose(1, 2)

    def forward(self, window: Tensor, before: Tensor, *past: Tensor) -> tuple[Tensor, ...]:
        """The next frame: a window (b, steps, features), place and velocity (b, 12). Mean and spread, and the state."""
        mean, spread, after = self.sequence(window[:, None], before[:, None], list(past))
        return mean[:, 0], spread[:, 0].exp(), *after


def _leaky(x: Tensor) -> Tensor:
    return nn.functional.leaky_relu(x, SLOPE)


def surprise(mean: Tensor, spread: Tensor, real: Tensor) -> Tensor:
    """Negative log likelihood of ``real`` under Gaussians, each of its own, but for a constant; ``spread``: its log."""
    return 0.5 * ((real - mean) * torch.exp(-spread)).square() + spread
