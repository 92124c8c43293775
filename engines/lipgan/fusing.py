"""Batch norms put into the convolutions before them: what a net for use alone is made of."""

from __future__ import annotations

import copy
from typing import TypeVar

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

Net = TypeVar("Net", bound=nn.Module)


def fused(net: Net) -> Net:
    """A copy of ``net`` that gives the same. Norms lie behind their convolutions in an ``nn.Sequential``."""
    made = copy.deepcopy(net).cpu().eval().requires_grad_(False)
    for each in list(made.modules()):
        if isinstance(each, nn.Sequential):
            _fuse(each)
    return made


def _fuse(layers: nn.Sequential) -> None:
    last: int | None = None
    for place, layer in enumerate(layers):
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            last = place
        elif isinstance(layer, nn.BatchNorm2d) and last is not None:
            transposed = isinstance(layers[last], nn.ConvTranspose2d)
            layers[last] = fuse_conv_bn_eval(layers[last], layer, transposed)
            layers[place], last = nn.Identity(), None
