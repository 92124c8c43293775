"""The picture net: from a drawing to the person's picture and how much of each pixel is the person."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

SLOPE = 0.1
LEAK = 0.2
DETAIL = 10.0  # by which judges are shown the finest details larger
STEP = 32  # pixels: a net goes so far down
OUT = 4  # blue, green, red, and the share of the person
Profile = Literal["cpu", "gpu"]


@dataclass(frozen=True)
class Shape:
    """What fixes the net beside its weights."""

    profile: Profile = "cpu"
    size: int = 192  # pixels a side
    widths: tuple[int, ...] = (16, 32, 48, 64, 96)  # channels; of "cpu" at a half, a quarter ... of the size


PUBLISHED = Shape("gpu", 512, (64, 128, 256, 512, 512, 512, 512, 512))


def picture_net(shape: Shape) -> nn.Module:
    """The net of a shape. Each has ``shape`` and the buffer ``mean`` (OUT, size, size)."""
    return SmallNet(shape) if shape.profile == "cpu" else PublishedNet(shape)


def part_of(whole: Tensor, like: Tensor, x: int, y: int) -> Tensor:
    """Of ``whole`` (..., size, size) what lies at ``x`` and ``y``, as large as ``like``."""
    height, width = like.shape[-2:]
    return whole[..., y : y + height, x : x + width]


class SmallNet(nn.Module):
    """``drawing`` (n, 3, size, size), BGR 0..1, to the picture (n, OUT, size, size), 0..1.

    It finds what differs from the mean picture. Half the size is as fine as it works: the last layer gives four
    pixels for each point.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        widths = shape.widths
        self.register_buffer("mean", torch.full((OUT, shape.size, shape.size), 0.5))
        self.first = nn.Sequential(nn.PixelUnshuffle(2), _layer(12, widths[0]), _layer(widths[0], widths[0]))
        self.down = nn.ModuleList(
            nn.Sequential(_layer(before, after, 2), _layer(after, after)) for before, after in pairwise(widths)
        )
        self.up = nn.ModuleList(
            _layer(below + beside, beside) for below, beside in zip(widths[:0:-1], widths[-2::-1], strict=True)
        )
        self.wide = nn.Upsample(scale_factor=2, mode="nearest")
        self.last = nn.Sequential(_layer(widths[0], 32), nn.Conv2d(32, 4 * OUT, 3, padding=1))
        self.pixels = nn.PixelShuffle(2)
        nn.init.zeros_(self.last[-1].weight)
        nn.init.zeros_(self.last[-1].bias)

    def forward(self, drawing: Tensor) -> Tensor:
        return self.part(drawing, 0, 0)

    def part(self, drawing: Tensor, x: int, y: int) -> Tensor:
        """Of a part of a drawing, whose left upper corner lies at ``x`` and ``y``, multiples of STEP."""
        maps = [self.first(2 * drawing - 1)]
        for layer in self.down:
            maps += [layer(maps[-1])]
        inner = maps.pop()
        for layer in self.up:
            inner = layer(torch.cat([self.wide(inner), maps.pop()], 1))
        painted: Tensor = self.pixels(self.last(inner)) + part_of(self.mean, drawing, x, y)
        return painted.clamp(0, 1)


class PublishedNet(nn.Module):
    """The U-net of the published pipeline (Isola et al., *Image-to-Image Translation*, 2017): kernels of 4, stride 2.

    54.4 million weights. Norms are over each picture: batches are small.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        widths = shape.widths
        self.register_buffer("mean", torch.full((OUT, shape.size, shape.size), 0.5))
        self.down = nn.ModuleList(
            nn.Sequential(
                *([nn.LeakyReLU(LEAK)] if level else []),
                nn.Conv2d(before, after, 4, 2, 1, bias=False),
                *([nn.InstanceNorm2d(after, affine=True)] if 0 < level < len(widths) - 1 else []),
            )
            for level, (before, after) in enumerate(pairwise((3, *widths)))
        )
        self.up = nn.ModuleList(
            nn.Sequential(
                nn.ReLU(),
                nn.ConvTranspose2d(below * (1 if level == 0 else 2), above, 4, 2, 1, bias=False),
                nn.InstanceNorm2d(above, affine=True),
            )
            for level, (below, above) in enumerate(pairwise(widths[::-1]))
        )
        self.last = nn.Sequential(nn.ReLU(), nn.ConvTranspose2d(2 * widths[0], OUT, 4, 2, 1))

    def forward(self, drawing: Tensor) -> Tensor:
        return self.part(drawing, 0, 0)

    def part(self, drawing: Tensor, x: int, y: int) -> Tensor:
        """As that of the small net."""
        maps = [2 * drawing - 1]
        for layer in self.down:
            maps += [layer(maps[-1])]
        inner = maps.pop()
        for layer in self.up:
            inner = torch.cat([layer(inner), maps.pop()], 1)
        painted: Tensor = self.last(inner) + part_of(self.mean, drawing, x, y)
        return painted.clamp(0, 1)


class Judge(nn.Module):
    """Tells drawn-from pictures from painted ones, patch by patch; gives its maps, too (Wang et al. 2018)."""

    def __init__(self, channels: int, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.layers = nn.ModuleList()
        for before, after in pairwise((channels, *widths)):
            conv = nn.Conv2d(before, after, 4, 2, 1)
            nn.init.kaiming_normal_(conv.weight, LEAK)
            nn.init.zeros_(conv.bias)
            self.layers.append(nn.Sequential(conv, nn.LeakyReLU(LEAK)))
        self.layers.append(nn.Conv2d(widths[-1], 1, 3, 1, 1))

    def forward(self, x: Tensor) -> list[Tensor]:
        maps = []
        for layer in self.layers:
            x = layer(x)
            maps.append(x)
        return maps


class Judges(nn.Module):
    """Of single pictures with their drawings, at two scales, and of three in a row, for what happens in time.

    What painted pictures lack is fine and faint: a judge of the bare pixels does not find it in the time that there is.
    So each is shown what a blur takes away, too, and larger.
    """

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.fine, self.coarse, self.film = Judge(9, widths), Judge(9, widths), Judge(18, widths)
        self.shrink, self.blur = nn.AvgPool2d(2), nn.AvgPool2d(3, 1, 1, count_include_pad=False)

    def forward(self, drawings: Tensor, pictures: Tensor) -> list[list[Tensor]]:
        """Of rows of three (n, 3, 3, size, size) each; the maps of each judge, the last its opinion."""
        count, three, channels, size, _ = pictures.shape
        drawn, shown = (each.reshape(count * three, channels, size, size) for each in (drawings, pictures))
        small = self.shrink(shown)
        row = self._detailed(small).reshape(count, 2 * three * channels, *small.shape[-2:])
        fine, coarse = (drawn, shown), (self.shrink(drawn), small)
        judged = [torch.cat([2 * lines - 1, self._detailed(seen)], 1) for lines, seen in (fine, coarse)]
        return [self.fine(judged[0]), self.coarse(judged[1]), self.film(row)]

    def _detailed(self, pictures: Tensor) -> Tensor:
        """(n, 2 * channels, h, w): about -1..1."""
        return torch.cat([2 * pictures - 1, DETAIL * (pictures - self.blur(pictures))], 1)


def told_apart(real: list[list[Tensor]], made: list[list[Tensor]], counts: list[Tensor]) -> Tensor:
    """The judges' loss (least squares, Mao et al. 2017): 1 for what is real, 0 for what is made.

    ``counts``, of each judge: how much a pixel of what it judges counts (n, 1, size, size).
    """
    pairs = zip(real, made, counts, strict=True)
    parts = [_counted((r[-1] - 1).square(), how) + _counted(m[-1].square(), how) for r, m, how in pairs]
    return torch.stack(parts).mean() / 2


def believed(made: list[list[Tensor]], counts: list[Tensor]) -> Tensor:
    """The net's loss: how far its pictures are from being taken for real ones."""
    return torch.stack([_counted((m[-1] - 1).square(), how) for m, how in zip(made, counts, strict=True)]).mean()


def alike(real: list[list[Tensor]], made: list[list[Tensor]], counts: list[Tensor]) -> Tensor:
    """How much the judges' maps of what is real and of what is made differ, their opinions left out."""
    judges = zip(real, made, counts, strict=True)
    pairs = [(*pair, how) for r, m, how in judges for pair in zip(r[:-1], m[:-1], strict=True)]
    return torch.stack([_counted((r.detach() - m).abs(), how) for r, m, how in pairs]).mean()


def _counted(values: Tensor, counts: Tensor) -> Tensor:
    """The mean of a map (n, c, h, w), each place as much as the pixels behind it count."""
    share = nn.functional.adaptive_avg_pool2d(counts, values.shape[-2:])
    return (values * (share / share.mean().clamp(min=1e-6))).mean()


class RandomFeatures(nn.Module):
    """A perceptual loss without anybody's weights: convolutions as they were drawn at first, of a fixed seed.

    Random features tell textures and edges apart nearly as learnt ones do (He, Wang, Hopcroft 2016).
    """

    def __init__(self, widths: tuple[int, ...] = (12, 24, 32), seed: int = 7) -> None:
        super().__init__()
        drawn = torch.Generator().manual_seed(seed)
        self.layers = nn.ModuleList()
        for level, (before, after) in enumerate(pairwise((3, *widths))):
            conv = nn.Conv2d(before, after, 3, 2 if level else 1, 1, bias=False)
            with torch.no_grad():
                rows = torch.randn(after, before * 9, generator=drawn)
                rows -= rows.mean(1, keepdim=True) * (level == 0)  # flat areas are the pixels' loss
                conv.weight.copy_((rows / rows.norm(dim=1, keepdim=True)).reshape(after, before, 3, 3) * 2**0.5)
            self.layers.append(conv)
        self.requires_grad_(False)

    def forward(self, made: Tensor, real: Tensor) -> Tensor:
        """How far pictures (n, 3, h, w) are from each other."""
        apart = []
        for layer in self.layers:
            made, real = layer(made).relu(), layer(real).relu()
            apart.append((made - real).abs().mean())
        return torch.stack(apart).sum()


def _layer(before: int, after: int, stride: int = 1) -> nn.Sequential:
    conv = nn.Conv2d(before, after, 3, stride, 1)
    nn.init.kaiming_normal_(conv.weight, SLOPE)
    nn.init.zeros_(conv.bias)
    return nn.Sequential(conv, nn.LeakyReLU(SLOPE, inplace=True))
