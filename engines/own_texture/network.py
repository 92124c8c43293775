"""The recurrent net: 28 audio features to 20 coefficients of the lips' shape, 100 times a second.

After Suwajanakorn, Seitz, Kemelmacher-Shlizerman: Synthesizing Obama (SIGGRAPH 2017), as Junlin-Yin/audio2video has it:
an LSTM of 60 units that gives what belongs to an earlier instant, so that it has heard what comes after it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

HOP_MS = 10
State = tuple[Tensor, Tensor]  # hidden and cell, (1, batch, hidden) each


@dataclass(frozen=True)
class Shape:
    """Sizes of the net, kept with its checkpoints."""

    features: int = 28
    hidden: int = 60
    components: int = 20
    points: int = 168  # of the lower face, that go with the lips
    delay: int = 20  # hops from an instant to the output that belongs to it
    dropout: float = 0.2


class LipNet(nn.Module):
    """Features (b, n, 28) to coefficients (b, n, 20). The one ``forward`` serves training, files and streams.

    The bases and the features' normalisation are buffers: what the net gives needs no more arithmetic.
    """

    mean: Tensor  # (features,)
    scale: Tensor  # (features,)
    basis: Tensor  # (components, points * 3): the lower face that goes with each coefficient

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.lstm = nn.LSTM(shape.features, shape.hidden, batch_first=True)
        self.lstm.bias_hh_l0.requires_grad_(False).zero_()  # the published cell has one bias
        self.drop = nn.Dropout(shape.dropout)
        self.leave = nn.Linear(shape.hidden, shape.components)
        self.register_buffer("mean", torch.zeros(shape.features))
        self.register_buffer("scale", torch.ones(shape.features))
        self.register_buffer("basis", torch.zeros(shape.components, shape.points * 3))

    def initial_state(self, batch: int = 1) -> State:
        """Nothing was heard."""
        zeros = torch.zeros(1, batch, self.shape.hidden, device=self.mean.device)
        return zeros, zeros

    def forward(self, features: Tensor, state: State) -> tuple[Tensor, State]:
        """Coefficients, and the state after the last hop."""
        heard, after = self.lstm((features - self.mean) / self.scale, state)
        return self.leave(self.drop(heard)), after

    def displacement(self, coefficients: Tensor) -> Tensor:
        """Coefficients (b, n, components) as points (b, n, points, 3), mouth widths from rest."""
        return (coefficients @ self.basis).reshape(*coefficients.shape[:2], self.shape.points, 3)
