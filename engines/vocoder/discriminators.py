"""HiFi-GAN's two kinds of discriminators, and the losses that they and the generator learn by.

After Kong et al. (NeurIPS 2020), sections 2.3 and 2.4.
"""

from __future__ import annotations

from math import gcd

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm, weight_norm

from engines.vocoder.network import SLOPE

PERIODS = (2, 3, 5, 7, 11)
SCALES = 3
BY_PERIOD = (32, 128, 512, 1024, 1024)
BY_SCALE = (  # channels, kernel, step, groups
    (128, 15, 1, 1),
    (128, 41, 2, 4),
    (256, 41, 2, 16),
    (512, 41, 4, 16),
    (1024, 41, 4, 16),
    (1024, 41, 1, 16),
    (1024, 5, 1, 1),
)
Judged = tuple[Tensor, list[Tensor]]  # what it thinks, 1 = real; what its layers saw


class PeriodDiscriminator(nn.Module):
    """Sees every ``period``-th sample beside each other."""

    def __init__(self, period: int, narrow: int) -> None:
        super().__init__()
        self.period, before = period, 1
        self.convs = nn.ModuleList()
        for place, channels in enumerate(each // narrow for each in BY_PERIOD):
            step = (3, 1) if place < len(BY_PERIOD) - 1 else (1, 1)
            self.convs.append(weight_norm(nn.Conv2d(before, channels, (5, 1), step, (2, 0))))
            before = channels
        self.last = weight_norm(nn.Conv2d(before, 1, (3, 1), 1, (1, 0)))

    def forward(self, sound: Tensor) -> Judged:
        """Of sounds (b, n)."""
        x = functional.pad(sound[:, None], (0, -sound.shape[-1] % self.period), "reflect")
        return _through(self.convs, self.last, x.unflatten(2, (-1, self.period)))


class ScaleDiscriminator(nn.Module):
    """Sees the sound halved ``scale`` times by means."""

    def __init__(self, scale: int, narrow: int) -> None:
        super().__init__()
        self.scale, before = scale, 1
        norm = weight_norm if scale else spectral_norm  # as published: the first one has the other norm
        self.convs = nn.ModuleList()
        for channels, kernel, step, groups in ((each[0] // narrow, *each[1:]) for each in BY_SCALE):
            apart = gcd(groups, before, channels)
            self.convs.append(norm(nn.Conv1d(before, channels, kernel, step, kernel // 2, groups=apart)))
            before = channels
        self.last = norm(nn.Conv1d(before, 1, 3, padding=1))

    def forward(self, sound: Tensor) -> Judged:
        """Of sounds (b, n)."""
        x = sound[:, None]
        for _ in range(self.scale):
            x = functional.avg_pool1d(x, 4, 2, 2)
        return _through(self.convs, self.last, x)


class Discriminators(nn.ModuleList):
    """Five by period, three by scale; ``narrow`` divides their channels."""

    def __init__(self, narrow: int = 1) -> None:
        super().__init__([PeriodDiscriminator(each, narrow) for each in PERIODS])
        self.extend(ScaleDiscriminator(each, narrow) for each in range(SCALES))

    def judge(self, sound: Tensor) -> list[Judged]:
        return [each(sound) for each in self]


def told_apart(real: list[Judged], made: list[Judged]) -> Tensor:
    """The discriminators' loss: least squares."""
    return torch.stack([((1 - a) ** 2).mean() + (b**2).mean() for (a, _), (b, _) in zip(real, made, strict=True)]).sum()


def believed(made: list[Judged]) -> Tensor:
    """The generator's loss: least squares."""
    return torch.stack([((1 - each) ** 2).mean() for each, _ in made]).sum()


def alike(real: list[Judged], made: list[Judged]) -> Tensor:
    """How far apart what the layers saw is."""
    apart = [
        (a.detach() - b).abs().mean()
        for (_, seen), (_, found) in zip(real, made, strict=True)
        for a, b in zip(seen, found, strict=True)
    ]
    return torch.stack(apart).sum()


def _through(convs: nn.ModuleList, last: nn.Module, x: Tensor) -> Judged:
    seen = []
    for conv in convs:
        x = functional.leaky_relu(conv(x), SLOPE)
        seen.append(x)
    x = last(x)
    return x.flatten(1), [*seen, x]
