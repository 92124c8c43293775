"""The generator of HiFi-GAN, with the names that published checkpoints have; weight norms are folded in.

After Kong et al., "HiFi-GAN: Generative Adversarial Networks for Efficient and High Fidelity Speech Synthesis"
(NeurIPS 2020), with the rates 8, 5, 2, 2 that HPMDubbing's vocoder has for hops of 160 samples.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor, nn
from torch.nn import functional

from engines.vocoder.sounding import Sounding

SLOPE, LAST_SLOPE = 0.1, 0.01
DILATIONS = (1, 3, 5)


@dataclass(frozen=True)
class Shape:
    """The sizes. A hop is the product of the rates."""

    bands: int = 80
    channels: int = 512  # behind the first convolution, halved by each step
    rates: tuple[int, ...] = (8, 5, 2, 2)
    kernels: tuple[int, ...] = (16, 10, 4, 4)
    around: tuple[int, ...] = (3, 7, 11)  # kernels of the residual blocks
    exact: bool = False  # paddings of the first HiFi-GAN, (kernel - rate) / 2; both fit where a rate is even

    @property
    def hop(self) -> int:
        return prod(self.rates)


PUBLISHED_16K = Shape()
PUBLISHED_22K = Shape(rates=(11, 5, 2, 2), kernels=(22, 10, 4, 4))
SMALL = Shape(channels=128, around=(3, 7))


class Residual(nn.Module):
    """Three times: a dilated convolution and a plain one, the input added."""

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        self.convs1 = nn.ModuleList([_conv(channels, kernel, each) for each in DILATIONS])
        self.convs2 = nn.ModuleList([_conv(channels, kernel, 1) for _ in DILATIONS])

    def forward(self, x: Tensor) -> Tensor:
        for wide, plain in zip(self.convs1, self.convs2, strict=True):
            x = x + plain(functional.leaky_relu(wide(functional.leaky_relu(x, SLOPE)), SLOPE))
        return x


class Generator(Sounding):
    """Log mel (b, bands, n) to samples (b, n * hop) in -1..1."""

    title = "hifigan"

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape: Shape = shape
        self.conv_pre = nn.Conv1d(shape.bands, shape.channels, 7, padding=3)
        self.ups, self.resblocks = nn.ModuleList(), nn.ModuleList()
        channels = shape.channels
        for rate, kernel in zip(shape.rates, shape.kernels, strict=True):
            self.ups.append(nn.ConvTranspose1d(channels, channels // 2, kernel, rate, **_padding(rate, kernel, shape)))
            channels //= 2
            self.resblocks.extend(Residual(channels, each) for each in shape.around)
        self.conv_post = nn.Conv1d(channels, 1, 7, padding=3)

    def forward(self, mel: Tensor) -> Tensor:
        x, beside = self.conv_pre(mel), len(self.shape.around)
        for place, up in enumerate(self.ups):
            x = up(functional.leaky_relu(x, SLOPE))
            blocks = self.resblocks[place * beside : (place + 1) * beside]
            x = torch.stack([block(x) for block in blocks]).mean(0)
        return torch.tanh(self.conv_post(functional.leaky_relu(x, LAST_SLOPE)))[:, 0]


def _conv(channels: int, kernel: int, dilation: int) -> nn.Conv1d:
    return nn.Conv1d(channels, channels, kernel, dilation=dilation, padding=dilation * (kernel - 1) // 2)


def _padding(rate: int, kernel: int, shape: Shape) -> dict[str, int]:
    """So that n frames become n * rate."""
    if shape.exact:
        return {"padding": (kernel - rate) // 2}
    return {"padding": rate // 2 + rate % 2, "output_padding": rate % 2}
