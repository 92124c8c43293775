"""The net: from a drawing of the lower face to its picture. What all pictures of a person share is given to it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from engines.face_translator.film import SIZE

SLOPE = 0.1


@dataclass(frozen=True)
class Shape:
    """What fixes the net beside its weights."""

    widths: tuple[int, ...] = (16, 24, 48, 64)  # channels at a half, a quarter ... of the size
    size: int = SIZE


class TranslatorNet(nn.Module):
    """``drawing`` (n, 3, size, size) to the picture (n, 3, size, size), both BGR 0..1.

    It finds what differs from the mean picture. Half the size is as fine as it works: the last layer gives four
    pixels for each point.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        widths = shape.widths
        self.register_buffer("mean", torch.full((3, shape.size, shape.size), 0.5))
        self.first = nn.Sequential(nn.PixelUnshuffle(2), _layer(12, widths[0]), _layer(widths[0], widths[0]))
        self.down = nn.ModuleList(
            nn.Sequential(_layer(before, after, 2), _layer(after, after)) for before, after in pairwise(widths)
        )
        self.up = nn.ModuleList(
            _layer(below + beside, beside) for below, beside in zip(widths[:0:-1], widths[-2::-1], strict=True)
        )
        self.wide = nn.Upsample(scale_factor=2, mode="nearest")
        self.last = nn.Sequential(_layer(widths[0], 2 * widths[0]), nn.Conv2d(2 * widths[0], 12, 3, padding=1))
        self.pixels = nn.PixelShuffle(2)
        nn.init.zeros_(self.last[-1].weight)

    def forward(self, drawing: Tensor) -> Tensor:
        maps = [self.first(2 * drawing - 1)]
        for layer in self.down:
            maps += [layer(maps[-1])]
        x = maps.pop()
        for layer in self.up:
            x = layer(torch.cat([self.wide(x), maps.pop()], 1))
        painted: Tensor = self.pixels(self.last(x)) + self.mean
        return painted.clamp(0, 1)


def _layer(before: int, after: int, stride: int = 1) -> nn.Sequential:
    conv = nn.Conv2d(before, after, 3, stride, 1)
    nn.init.kaiming_normal_(conv.weight, SLOPE)
    nn.init.zeros_(conv.bias)
    return nn.Sequential(conv, nn.LeakyReLU(SLOPE, inplace=True))
