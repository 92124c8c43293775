"""Nets of the kinds that others drive mouths with, at the size of the direct net: what ours is compared with.

``WindowNet`` is LipGAN's audio encoder with narrower layers: 2-D convolutions over a window of 80 mels by 27 frames,
one window for every output. LipGAN's window lies around the picture, 169 ms to either side at 80 frames a second; ours
has the 100 frames a second and the look-ahead of all our nets: from 180 ms before the picture to 80 ms after it.
``RecurrentNet`` is the net of Synthesizing Obama: one LSTM layer whose output comes late by the look-ahead, 200 ms
there and 80 ms here, from log-mels instead of cepstra. Neither is shipped.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from engines.mouthbank.network import GivesMotion

WINDOW = 27  # frames
STRIDES = ((3, 3), (3, 1), (3, 3))  # bands and frames, from stage to stage: 80 x 27, 27 x 9, 9 x 9, 3 x 3


@dataclass(frozen=True)
class WindowShape:
    """Sizes of ``WindowNet``; LipGAN's widths are 32, 64, 128, 256, 512."""

    bands: int = 80  # the strides fit these
    widths: tuple[int, ...] = (9, 18, 36, 72, 144)
    components: int = 20
    points: int = 168


@dataclass(frozen=True)
class RecurrentShape:
    """Sizes of ``RecurrentNet``; that of Synthesizing Obama is 60 wide."""

    bands: int = 80
    width: int = 278
    components: int = 20
    points: int = 168
    dropout: float = 0.2


class Baseline(GivesMotion):
    """What both have: normalised bands in, components and the logit of speech out of one linear layer."""

    basis: Tensor  # (components, points * 3), coefficients of spread 1
    band_mean: Tensor  # (bands,)
    band_scale: Tensor  # (bands,)

    def __init__(self, shape: WindowShape | RecurrentShape, width: int) -> None:
        super().__init__()
        self.shape = shape
        self.leave = nn.Linear(width, shape.components + 1)
        self.register_buffer("basis", torch.zeros(shape.components, shape.points * 3))
        self.register_buffer("band_mean", torch.zeros(shape.bands))
        self.register_buffer("band_scale", torch.ones(shape.bands))

    def normalised(self, mel: Tensor) -> Tensor:
        return (mel - self.band_mean) / self.band_scale

    def left(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Coefficients (b, n, components) and logits (b, n) from ``x`` (b, n, width)."""
        y = self.leave(x)
        return y[..., :-1], y[..., -1]


class RecurrentNet(Baseline):
    """One LSTM layer."""

    def __init__(self, shape: RecurrentShape) -> None:
        super().__init__(shape, shape.width)
        self.lstm = nn.LSTM(shape.bands, shape.width, batch_first=True)
        self.drop = nn.Dropout(shape.dropout)

    def initial_state(self, batch: int = 1) -> list[Tensor]:
        """The layer's output and cell (1, batch, width)."""
        return [torch.zeros(1, batch, self.shape.width) for _ in range(2)]

    def coefficients(self, mel: Tensor, state: list[Tensor]) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Motion in the basis (b, n, components), speech as a logit (b, n), and the state after the last frame."""
        x, (output, cell) = self.lstm(self.normalised(mel), (state[0], state[1]))
        return *self.left(self.drop(x)), [output, cell]


class WindowNet(Baseline):
    """2-D convolutions over one window for every output."""

    def __init__(self, shape: WindowShape) -> None:
        super().__init__(shape, shape.widths[-1])
        first, *others, last = shape.widths
        stages: list[nn.Module] = [_convolved(1, first), Residual(first), Residual(first)]
        before = first
        for width, stride in zip(others, STRIDES, strict=True):
            stages += [_convolved(before, width, stride), Residual(width), Residual(width)]
            before = width
        stages += [_convolved(before, last, padding=0), _convolved(last, last, kernel=1, padding=0)]
        self.encoder = nn.Sequential(*stages).to(memory_format=torch.channels_last)  # half the time on a CPU

    def initial_state(self, batch: int = 1) -> list[Tensor]:
        """The window's frames (batch, 26, bands) before the first."""
        return [torch.zeros(batch, WINDOW - 1, self.shape.bands)]

    def coefficients(self, mel: Tensor, state: list[Tensor]) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Motion in the basis (b, n, components), speech as a logit (b, n), and the state after the last frame."""
        x = torch.cat([state[0], self.normalised(mel)], 1)
        windows = torch.stack([x[:, i : x.shape[1] - WINDOW + 1 + i] for i in range(WINDOW)], -1)
        return *self.left(self._encoded(windows)), [x[:, 1 - WINDOW :]]

    def strided_forward(self, mel: Tensor, ends: Tensor) -> tuple[Tensor, Tensor]:
        """Coefficients (b, m, components) and logits (b, m) after the frames ``ends`` (b, m) of whole sounds alone."""
        x = torch.cat([self.initial_state(len(mel))[0], self.normalised(mel)], 1)
        rows = torch.arange(len(mel))[:, None]
        return self.left(self._encoded(x.unfold(1, WINDOW, 1)[rows, ends]))

    def _encoded(self, windows: Tensor) -> Tensor:
        """Windows (b, n, bands, WINDOW) as (b, n, width)."""
        batch, count, bands, frames = windows.shape
        pictures = windows.reshape(-1, 1, bands, frames).contiguous(memory_format=torch.channels_last)
        return self.encoder(pictures).reshape(batch, count, -1)


class Residual(nn.Module):
    """Two convolutions around which the input is added."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = _convolved(width, width)
        self.second = nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width))

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.relu(x + self.second(self.first(x)))


def _convolved(
    inputs: int, outputs: int, stride: tuple[int, int] = (1, 1), kernel: int = 3, padding: int = 1
) -> nn.Module:
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, padding)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU())


def parameters(net: nn.Module) -> int:
    """How many numbers a net learns."""
    return sum(weight.numel() for weight in net.parameters())
