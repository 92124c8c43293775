"""The net of stage ``occlusion``: a crop around the mouth in, for each of its pixels whether something covers the face.

A U-net of four sizes. It begins and ends with half the crop's resolution, where most of the time would go.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

_SPREAD = 0.05  # least standard deviation of a crop's levels: a black picture is no picture of anything


@dataclass(frozen=True)
class Shape:
    """What fixes the net beside its weights."""

    size: int = 96  # pixels a side
    widths: tuple[int, int, int, int] = (16, 24, 40, 64)  # channels at 1/2, 1/4, 1/8, 1/16


def _step(before: int, after: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    conv = nn.Conv2d(before, after, kernel, stride, (kernel - 1) // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(after), nn.ReLU(inplace=True))


class _Up(nn.Module):
    """Twice as fine, with what was known at that size."""

    def __init__(self, below: int, beside: int) -> None:
        super().__init__()
        self.join = _step(below + beside, beside, 1)
        self.mix = _step(beside, beside)

    def forward(self, below: Tensor, beside: Tensor) -> Tensor:
        up = nn.functional.interpolate(below, scale_factor=2.0, mode="nearest")
        mixed: Tensor = self.mix(self.join(torch.cat([up, beside], 1)))
        return mixed


class OcclusionNet(nn.Module):
    """``image`` (n, 3, size, size) BGR 0..1 and ``drawing`` (n, 2, size, size), face and lips, to (n, size, size).

    What it gives are logits; :class:`Probable` gives probabilities.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        a, b, c, d = shape.widths
        self.stem = nn.Sequential(_step(5, a, 4, 2), _step(a, a))
        self.quarter = nn.Sequential(_step(a, b, 3, 2), _step(b, b))
        self.eighth = nn.Sequential(_step(b, c, 3, 2), _step(c, c), _step(c, c))
        self.deep = nn.Sequential(_step(c, d, 3, 2), _step(d, d), _step(d, d))
        self.ups = nn.ModuleList([_Up(d, c), _Up(c, b), _Up(b, a)])
        self.out = nn.Conv2d(a, 4, 1)

    def forward(self, image: Tensor, drawing: Tensor) -> Tensor:
        centred = image - image.mean((1, 2, 3), keepdim=True)
        spread = centred.square().mean((1, 2, 3), keepdim=True).sqrt()
        sizes = [self.stem(torch.cat([centred / (spread + _SPREAD), drawing], 1))]
        for part in (self.quarter, self.eighth, self.deep):
            sizes.append(part(sizes[-1]))
        found = sizes.pop()
        for up in self.ups:
            found = up(found, sizes.pop())
        return nn.functional.pixel_shuffle(self.out(found), 2)[:, 0]


class Probable(nn.Module):
    """The net as it ships."""

    def __init__(self, net: OcclusionNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, image: Tensor, drawing: Tensor) -> Tensor:
        return torch.sigmoid(self.net(image, drawing))
