"""The motion net: log-mel features to mouth motion and the probability of speech, 100 times a second.

Causal dilated convolutions. Look-ahead is a delay: the output after frame n is the mouth at frame ``n - LOOK_AHEAD``.
The same ``forward`` serves training on whole clips (no state: silence before) and streaming (state in, state out).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from engines.common.layers import CausalConv
from realtime_dub.mouth.mouthbank.trunk import Trunk

LOOK_AHEAD = 8  # frames of 10 ms


@dataclass(frozen=True)
class Shape:
    """Sizes of the net, kept with its checkpoints."""

    bands: int = 80
    width: int = 96
    kernel: int = 3
    dilations: tuple[int, ...] = (1, 2, 4, 8, 16, 1, 2, 4, 8, 16)
    components: int = 20
    points: int = 168
    dropout: float = 0.1

    def as_dict(self) -> dict[str, object]:
        return asdict(self)


class Block(nn.Module):
    """A residual step: dilated convolution, then a pointwise one."""

    def __init__(self, width: int, kernel: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.dilated = CausalConv(width, width, kernel, dilation)
        self.drop = nn.Dropout(dropout)
        self.pointwise = nn.Conv1d(width, width, 1)
        nn.init.normal_(self.pointwise.weight, std=0.02)
        assert self.pointwise.bias is not None
        nn.init.zeros_(self.pointwise.bias)

    def forward(self, x: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        y, past = self.dilated(x, past)
        return x + self.pointwise(self.drop(nn.functional.gelu(y, approximate="tanh"))), past


class Made(NamedTuple):
    """What a motion is made of."""

    features: Tensor  # (b, n, features), by the last layer
    told: Tensor  # (b, n, inputs), by the whole trunk


class GivesMotion(nn.Module):
    """How every motion net ends: components of mouth motion become points, and a bundle's outputs."""

    basis: Tensor  # (components, points * 3)
    shape: Any  # with ``points``
    look_ahead: int = LOOK_AHEAD  # frames

    def initial_state(self, batch: int = 1) -> list[Tensor]:
        """Silence before the first frame."""
        raise NotImplementedError

    def coefficients(self, mel: Tensor, state: list[Tensor]) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Components (b, n, components), logit of speech (b, n), state."""
        raise NotImplementedError

    def displacement(self, coefficients: Tensor) -> Tensor:
        """Coefficients (b, n, components) as points (b, n, points, 3)."""
        flat = coefficients @ self.basis
        return flat.reshape(flat.shape[0], flat.shape[1], self.shape.points, 3)

    def forward(self, mel: Tensor, state: list[Tensor]) -> tuple[Tensor, Tensor, list[Tensor]]:
        """What the bundle computes: displacement, speech probability, state."""
        coefficients, logit, after = self.coefficients(mel, state)
        return self.displacement(coefficients), torch.sigmoid(logit), after

    def featured(self, mel: Tensor, state: list[Tensor]) -> tuple[Tensor, Tensor, Made | None, list[Tensor]]:
        """As :meth:`forward`, and what the motion is made of, if the net tells that."""
        displacement, speech, after = self(mel, state)
        return displacement, speech, None, after

    def trunk(self) -> Trunk | None:
        """The weights behind what :meth:`featured` tells as ``told``; None where nothing is told."""
        return None


class MotionNet(GivesMotion):
    """Log-mel (b, n, bands) to displacement (b, n, points, 3) in mouth widths and speech probability (b, n).

    The basis of mouth motion and the bands' normalisation are buffers: what the net gives needs no more arithmetic.
    """

    basis: Tensor  # (components, points * 3), coefficients of spread 1
    band_mean: Tensor  # (bands,)
    band_scale: Tensor  # (bands,)

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.enter = CausalConv(shape.bands, shape.width, shape.kernel, 1)
        self.blocks = nn.ModuleList(Block(shape.width, shape.kernel, d, shape.dropout) for d in shape.dilations)
        self.leave = nn.Conv1d(shape.width, shape.width, 1)
        self.motion = nn.Conv1d(shape.width, shape.components, 1)
        self.speech = nn.Conv1d(shape.width, 1, 1)
        self.register_buffer("basis", torch.zeros(shape.components, shape.points * 3))
        self.register_buffer("band_mean", torch.zeros(shape.bands))
        self.register_buffer("band_scale", torch.ones(shape.bands))

    def initial_state(self, batch: int = 1) -> list[Tensor]:
        """Silence before the first frame: one tensor (batch, channels, past) per dilated convolution."""
        shape, steps = self.shape, (1, *self.shape.dilations)
        channels = [shape.bands] + [shape.width] * len(shape.dilations)
        return [torch.zeros(batch, c, (shape.kernel - 1) * step) for c, step in zip(channels, steps, strict=True)]

    def coefficients(self, mel: Tensor, state: list[Tensor]) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Motion in the basis (b, n, components), speech as a logit (b, n), and the state after the last frame."""
        x = ((mel - self.band_mean) / self.band_scale).transpose(1, 2)
        x, past = self.enter(x, state[0])
        after = [past]
        for block, before in zip(self.blocks, state[1:], strict=True):
            x, past = block(x, before)
            after.append(past)
        x = nn.functional.gelu(self.leave(nn.functional.gelu(x, approximate="tanh")), approximate="tanh")
        return self.motion(x).transpose(1, 2), self.speech(x)[:, 0], after
