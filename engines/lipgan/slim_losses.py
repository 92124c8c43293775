"""What the slim painter's faces are measured by beside the absolute error, while it learns."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

SHORT = 0.03  # of a pixel's range: a way as long as this counts half
WINDOWS = (5, 9)  # pixels a side, in which contrast is told
FLAT = 0.003  # of a pixel's range: contrast below this is none


def movement_apart(found: Tensor, real: Tensor, other: Tensor) -> Tensor:
    """How far painted mouths (b, 3, h, w) are from having gone all the way from the ``other`` picture to the real one.

    A mouth that is uncertain is painted half open by the absolute error; here it counts by its whole look, along that
    way. Where both pictures are alike there is no way to speak of.
    """
    way = (real - other).flatten(1)
    length = way.square().mean(1)
    gone = ((found - other).flatten(1) * way).mean(1) / (length + SHORT**2)
    whole = length / (length + SHORT**2)
    return (gone - whole).abs().mean()


def edges_apart(found: Tensor, real: Tensor, weight: Tensor) -> Tensor:
    """How far the differences between neighbouring pixels are apart: a mouth that is only dim has none."""
    apart = found - real
    down = (apart[:, :, 1:] - apart[:, :, :-1]).abs() * weight[:, :, 1:]
    across = (apart[:, :, :, 1:] - apart[:, :, :, :-1]).abs() * weight[:, :, :, 1:]
    return down.mean() + across.mean()


def contrast_apart(found: Tensor, real: Tensor) -> Tensor:
    """How far the contrast of painted mouths (b, 3, h, w) is from the real ones', around each pixel.

    The absolute error is least for a soft mouth where it is not certain where its edges are. Here it counts that there
    are edges, within a few pixels, and not where.
    """
    return torch.stack([(_contrast(found, side) - _contrast(real, side)).abs().mean() for side in WINDOWS]).mean()


def _contrast(images: Tensor, side: int) -> Tensor:
    """The deviation of the grey pictures within squares."""
    grey = images.mean(1, keepdim=True)
    mean, square = (functional.avg_pool2d(each, side, 1) for each in (grey, grey.square()))
    return ((square - mean.square()).clamp_min(0) + FLAT**2).sqrt()
