"""A row of teeth, seen from the front: where their edges are, the same on both sides."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

# Widths of teeth as seen from the front, from the middle outwards, of a mouth 50 mm wide (Wheeler's averages, the
# outer ones as the arch turns them away). To begin with; what is learnt is how they differ.
UPPER_TEETH = (0.165, 0.125, 0.115, 0.085, 0.07)
LOWER_TEETH = (0.105, 0.11, 0.11, 0.085, 0.07)


class Row(nn.Module):
    """What is known of one row of teeth; :func:`drawn` says what it looks like.

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


def drawn(rows: Sequence[Row], across: Tensor, beyond: Tensor, soft: Tensor | float) -> tuple[Tensor, Tensor]:
    """``rows`` of as many teeth each, side by side: places across (n, rows, 1, w), from the middle, and towards each
    row's edge (n, rows, h, 1), mouth widths, to how much of each pixel is covered by teeth, and what part of their
    light it has, both (n, rows, h, w).

    ``soft``: sigma of the picture's edges, mouth widths; a number, or (n, 1, 1, 1). All rows in one go, and what is of
    numbers alone by itself: live, what many small steps cost is mostly their number.
    """

    def each(name: str) -> Tensor:
        """(rows, teeth or 1, 1)."""
        return torch.stack([getattr(row, name).reshape(-1, 1) for row in rows])

    side, widths, none = across.abs(), each("widths").exp(), torch.zeros(len(rows), 1, 1, device=across.device)
    ends = torch.cumsum(widths, 1)
    off = (side - (ends - widths / 2)) / (widths / 2)  # (n, rows, teeth, w): -1 and 1 at a tooth's sides
    share = torch.sigmoid((1 - off.abs()) / 0.2)
    share = share / share.sum(2, keepdim=True).clamp(min=0.3)
    off = off.clamp(-1.2, 1.2) ** 2
    longer = torch.cat([none, each("longer")], 1)
    edge = (share * (longer - each("rounded") * widths * (off * off))).sum(2, keepdim=True)
    above = edge + (each("edge") + each("bowed") * side**2) - beyond
    narrow = each("narrow").exp()
    blurred = (narrow**2 + soft**2) ** 0.5
    gaps = torch.exp((side - torch.cat([none, ends], 1)) ** 2 * (-1 / blurred**2)).sum(2, keepdim=True)
    lit = (share * (1 - each("turned") * off)).sum(2, keepdim=True)
    shade = lit * (1 - torch.sigmoid(each("gap")) * (narrow / blurred) * gaps)
    cover = torch.sigmoid((ends[:, -1:] - side) / (0.02 + soft)) * torch.sigmoid(1.7 / soft * above)
    return cover, shade * (1 - each("falling") * above.clamp(0, 0.3))
