"""A row of teeth, seen from the front: where their edges are, the same on both sides."""

from __future__ import annotations

import torch
from torch import Tensor, nn

# Widths of teeth as seen from the front, from the middle outwards, of a mouth 50 mm wide (Wheeler's averages, the
# outer ones as the arch turns them away). To begin with; what is learnt is how they differ.
UPPER_TEETH = (0.165, 0.125, 0.115, 0.085, 0.07)
LOWER_TEETH = (0.105, 0.11, 0.11, 0.085, 0.07)


class Row(nn.Module):
    """Places across (n, 1, 1, w), from the middle, and towards the row's edge (n, 1, h, 1), mouth widths, to how much
    of each pixel is covered by teeth, and what part of their light it has, both (n, 1, h, w).

    ``edge``: how far beyond the place the edge is, to begin with.
    """

    def __init__(self, widths: tuple[float, ...], edge: float) -> None:
        super().__init__()
        self.widths = nn.Parameter(torch.tensor(widths).log())
        self.register_buffer("usual", torch.tensor(widths).log())
        self.edge = nn.Parameter(torch.tensor(edge))
        self.longer = nn.Parameter(torch.zeros(len(widths) - 1))  # each tooth than the first
        self.bowed = nn.Parameter(torch.tensor(-0.15))  # the row's edge: so much for the square of the way outwards
        self.rounded = nn.Parameter(torch.tensor(0.15))  # a tooth's edge at its corners, of its width
        self.gap = nn.Parameter(torch.tensor(-1.0))  # how dark it is between two, logit
        self.narrow = nn.Parameter(torch.tensor(0.01).log())  # half of a gap
        self.turned = nn.Parameter(torch.tensor(0.1))  # light that is lost at a tooth's sides
        self.falling = nn.Parameter(torch.tensor(0.0))  # and towards the gum, in a mouth width

    def unusual(self) -> Tensor:
        """How far the teeth are from such as people have, 0..: of their shapes soft film says little."""
        parts = (self.widths - self.usual) ** 2, (self.longer / 0.05) ** 2, ((self.rounded - 0.15) / 0.1) ** 2
        return torch.cat([each.reshape(-1) for each in (*parts, ((self.gap + 1) / 2) ** 2)]).mean()

    def forward(self, across: Tensor, beyond: Tensor, soft: Tensor | float) -> tuple[Tensor, Tensor]:
        """``soft``: sigma of the picture's edges, mouth widths; a number, or (n, 1, 1, 1)."""
        side, widths = across.abs(), self.widths.exp()[:, None, None]
        ends = torch.cumsum(widths, 0)
        off = (side - ends + widths / 2) / (widths / 2)  # (n, teeth, 1, w): -1 and 1 at a tooth's sides
        share = torch.sigmoid((1 - off.abs()) / 0.2)
        share = share / share.sum(1, keepdim=True).clamp(min=0.3)
        off = off.clamp(-1.2, 1.2) ** 2
        longer = torch.cat([self.longer.new_zeros(1), self.longer])[:, None, None]
        edge = (share * (longer - self.rounded * widths * off * off)).sum(1, keepdim=True)
        above = self.edge + edge + self.bowed * side**2 - beyond
        narrow = self.narrow.exp()
        blurred = (narrow**2 + soft**2) ** 0.5
        gaps = torch.exp(-(((side - ends) / blurred) ** 2)).sum(1, keepdim=True) + torch.exp(-((side / blurred) ** 2))
        lit = (share * (1 - self.turned * off)).sum(1, keepdim=True)
        shade = lit * (1 - torch.sigmoid(self.gap) * (narrow / blurred) * gaps)
        cover = torch.sigmoid((ends[-1] - side) / (0.02 + soft)) * torch.sigmoid(1.7 * above / soft)
        return cover, shade * (1 - self.falling * above.clamp(0, 0.3))
