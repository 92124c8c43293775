"""Features of a voice to the lower face: eight windows, each read alone, and learnt attention over them.

After Thies, Elgharib, Tewari, Theobalt, Niessner: Neural Voice Puppetry (ECCV 2020), where the features are the logits
of a speech recogniser and each of 116 people has a map of their own from what was read to 76 blendshapes. Here the map
ends in components of the lower face's motion.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import torch
from torch import Tensor, nn

LEAK = 0.02  # slope of the activations below zero
ATTENTION = (16, 8, 4, 2, 1)


@dataclass(frozen=True)
class Shape:
    """Sizes of the net, kept with its checkpoints."""

    features: int = 160
    steps: int = 16  # rows of a window
    windows: int = 8
    convolved: tuple[int, ...] = (32, 32, 64, 64)  # channels, each over half as many rows as the one before
    connected: tuple[int, ...] = (128, 64)
    latent: int = 32
    people: int = 1
    components: int = 24
    points: int = 168


PUBLISHED = Shape(features=29, people=116, components=76)


class ExpressionNet(nn.Module):
    """Windows to motion. The one ``forward`` is the stream's; :meth:`sequence` gives the same for many frames."""

    basis: Tensor  # (components, points * 3)
    feature_mean: Tensor  # (features,)
    feature_scale: Tensor  # (features,)

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        sizes = (shape.features, *shape.convolved)
        self.convolve = nn.ModuleList(nn.Conv1d(a, b, 3, stride=2, padding=1) for a, b in itertools.pairwise(sizes))
        wide = (shape.convolved[-1], *shape.connected, shape.latent)
        self.connect = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(wide))
        told = (shape.latent, *ATTENTION)
        self.attend = nn.ModuleList(nn.Conv1d(a, b, 3, padding=1) for a, b in itertools.pairwise(told))
        self.weigh = nn.Linear(shape.windows, shape.windows)
        self.map = nn.Parameter(torch.randn(shape.people, shape.latent, shape.components) * 0.1)
        self.register_buffer("basis", torch.zeros(shape.components, shape.points * 3))
        self.register_buffer("feature_mean", torch.zeros(shape.features))
        self.register_buffer("feature_scale", torch.ones(shape.features))

    def initial_state(self, batch: int = 1) -> Tensor:
        """What the windows before were read as (b, windows - 1, latent): nothing."""
        return torch.zeros(batch, self.shape.windows - 1, self.shape.latent, device=self.map.device)

    def read(self, windows: Tensor) -> Tensor:
        """Windows (n, steps, features), read each alone (n, latent)."""
        x = ((windows - self.feature_mean) / self.feature_scale).transpose(1, 2)
        for layer in self.convolve:
            x = nn.functional.leaky_relu(layer(x), LEAK)
        x = x[:, :, 0]
        for layer in self.connect[:-1]:
            x = nn.functional.leaky_relu(layer(x), LEAK)
        return torch.tanh(self.connect[-1](x))

    def attended(self, latents: Tensor) -> Tensor:
        """What eight windows were read as (n, windows, latent), as one (n, latent)."""
        x = latents.transpose(1, 2)
        for layer in self.attend:
            x = nn.functional.leaky_relu(layer(x), LEAK)
        weights = torch.softmax(self.weigh(x[:, 0]), 1)
        return (weights[:, :, None] * latents).sum(1)

    def displacement(self, attended: Tensor, people: Tensor | None = None) -> Tensor:
        """Points (n, points, 3) in mouth widths, of what was attended to (n, latent), for people (n,).

        Without people for the mean of all.
        """
        if people is None:
            coefficients = attended @ self.map.mean(0)
        else:
            coefficients = torch.einsum("nl,nlc->nc", attended, self.map[people])
        return (coefficients @ self.basis).reshape(-1, self.shape.points, 3)

    def forward(self, window: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        """The next frame: points, and the state after it."""
        latents = torch.cat([past, self.read(window)[:, None]], 1)
        return self.displacement(self.attended(latents)), latents[:, 1:]

    def sequence(self, windows: Tensor, people: Tensor | None = None) -> Tensor:
        """Windows (b, windows - 1 + n, steps, features) of frames one after another, as points (b, n, points, 3)."""
        batch, count = windows.shape[:2]
        latents = self.read(windows.flatten(0, 1)).reshape(batch, count, -1)
        return self.of_latents(latents, people)

    def of_latents(self, latents: Tensor, people: Tensor | None = None) -> Tensor:
        """As :meth:`sequence`, of windows that were read (b, windows - 1 + n, latent)."""
        runs = latents.unfold(1, self.shape.windows, 1).transpose(2, 3)  # (b, n, windows, latent)
        batch, count = runs.shape[:2]
        told = None if people is None else people.repeat_interleave(count)
        points = self.displacement(self.attended(runs.flatten(0, 1)), told)
        return points.reshape(batch, count, self.shape.points, 3)
