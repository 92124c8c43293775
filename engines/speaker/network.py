"""The network: convolutions over time, then mean and spread of what matters of them.

An x-vector (Snyder et al., ICASSP 2018) with residual blocks, pooled by attention (Okabe, Koshinaka, Shinoda:
Attentive Statistics Pooling, Interspeech 2018).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional

LEVEL = 3.0  # nats that are one, of a spectrogram


@dataclass(frozen=True)
class Shape:
    """The sizes. Widths are channels."""

    bands: int = 80
    width: int = 128
    dilations: tuple[int, ...] = (1, 2, 3, 4)  # of a block each, in steps of two mel frames
    pooled: int = 256
    asked: int = 64  # of the attention
    vector: int = 256


class Block(nn.Module):
    """A dilated convolution and one of a single step, the row added."""

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.wide = nn.Conv1d(width, width, 3, padding=dilation, dilation=dilation)
        self.join = nn.Conv1d(width, width, 1)
        self.norms = nn.ModuleList([nn.BatchNorm1d(width) for _ in range(2)])

    def forward(self, x: Tensor) -> Tensor:
        made = torch.relu(self.norms[0](self.wide(x)))
        return torch.relu(x + self.norms[1](self.join(made)))


class SpeakerNet(nn.Module):
    """Log mel (b, n, bands) to a vector (b, vector) of length 1. How loud it is as a whole is taken away."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.first = nn.Conv1d(shape.bands, shape.width, 5, stride=2, padding=2)
        self.norm = nn.BatchNorm1d(shape.width)
        self.blocks = nn.Sequential(*[Block(shape.width, each) for each in shape.dilations])
        self.wider = nn.Conv1d(shape.width, shape.pooled, 1)
        self.ask = nn.Sequential(nn.Conv1d(shape.pooled, shape.asked, 1), nn.Tanh())
        self.share = nn.Conv1d(shape.asked, shape.pooled, 1)
        self.settled = nn.BatchNorm1d(2 * shape.pooled)
        self.out = nn.Linear(2 * shape.pooled, shape.vector)

    def forward(self, mel: Tensor) -> Tensor:
        level = mel.mean((1, 2), keepdim=True)
        x = torch.relu(self.norm(self.first(((mel - level) / LEVEL).transpose(1, 2))))
        x = torch.relu(self.wider(self.blocks(x)))
        shares = self.share(self.ask(x)).softmax(2)
        mean = (shares * x).sum(2)
        spread = ((shares * x.square()).sum(2) - mean.square()).clamp_min(1e-5).sqrt()
        return functional.normalize(self.out(self.settled(torch.cat([mean, spread], 1))), dim=1)


@dataclass(frozen=True)
class LearnerShape:
    """Of what is trained together."""

    net: Shape = field(default_factory=Shape)
    speakers: int = 1


class Learner(nn.Module):
    """The net, and a direction for each speaker it learns from."""

    def __init__(self, shape: LearnerShape) -> None:
        super().__init__()
        self.shape = shape
        self.net = SpeakerNet(shape.net)
        self.directions = nn.Parameter(torch.randn(shape.speakers, shape.net.vector))

    def cosines(self, mel: Tensor) -> Tensor:
        """Of spectrograms (b, n, bands) to every speaker: (b, speakers)."""
        return functional.linear(self.net(mel), functional.normalize(self.directions, dim=1))


def margin_loss(cosines: Tensor, who: Tensor, scale: float, margin: float) -> Tensor:
    """Softmax with an additive margin (Wang et al., IEEE Signal Processing Letters 2018): the own speaker has to be
    nearer than all others by ``margin``.
    """
    own = functional.one_hot(who, cosines.shape[1]).to(cosines.dtype)
    return functional.cross_entropy(scale * (cosines - margin * own), who)
