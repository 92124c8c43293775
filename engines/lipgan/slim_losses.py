"""What the slim painter's faces are measured by beside the absolute error, while it learns."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from engines.common.metrics import OPENING_AT
from engines.lipgan.slim import FIRST_ROW, HIDDEN_ROWS, SIZE, Listener
from realtime_dub.face.alignment import LOWER
from realtime_dub.face.landmarks import LIPS, LIPS_INNER, LIPS_OUTER

SHORT = 0.03  # of a pixel's range: a way as long as this counts half
WINDOWS = (5, 9)  # pixels a side, in which contrast is told
FLAT = 0.003  # of a pixel's range: contrast below this is none
ELSEWHERE = 0.3  # what points beside the lips count
_INNER, _OUTER = np.searchsorted(LOWER, LIPS_INNER), np.searchsorted(LOWER, LIPS_OUTER)
_COUNTS = torch.from_numpy(np.where(np.isin(LOWER, LIPS), 1.0, ELSEWHERE).astype(np.float32))


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


def told_apart(net: Listener, heard: Tensor, wanted: Tensor) -> Tensor:
    """How far the motion that is told is from the one that is wanted (b, motion): its first directions count more, and
    how far the lips are open once again.
    """
    apart = net.told(heard).float() - wanted
    weights = torch.arange(1, apart.shape[1] + 1, device=apart.device).rsqrt()
    opening = apart @ opening_of(net)
    return (_huber(apart) * (weights / weights.mean())).mean() + _huber(opening).mean()


def opening_of(net: Listener) -> Tensor:
    """What each direction (motion,) opens the lips, such that the opening has a spread of 1."""
    back = torch.linalg.pinv(net.motion_lines.float()).reshape(-1, len(LOWER), 3)  # (motion, 168, 3)
    upper, lower = OPENING_AT.T
    gaps = (back[:, lower, 1] - back[:, upper, 1]).mean(1)
    return gaps / gaps.norm().clamp_min(1e-9)


def brought_apart(brought: Tensor, points: Tensor) -> Tensor:
    """How far pixels are brought from where they should come from, pixels.

    ``points`` (b, 2, 168, 2): where the lower face's points lie in the crop of the face, and in the other picture's;
    NaN where nobody knows. The inside of the lips is taken half way to the outside: a shut mouth has both insides in
    one place, which come from two.
    """
    inside = points[:, :, _INNER] * 0.5 + points[:, :, _OUTER] * 0.5
    points = points.index_copy(2, torch.from_numpy(_INNER).to(points.device), inside)
    here, there = points[:, 0], points[:, 1]
    seen = (here[..., 1] >= HIDDEN_ROWS) & (points >= 0).all(3).all(1) & (points < SIZE).all(3).all(1)
    here, there = (torch.where(seen[..., None], each, 0.0) for each in (here, there))
    rows = torch.tensor([SIZE, SIZE - FIRST_ROW], device=points.device)
    at = (here + 0.5 - torch.tensor([0, FIRST_ROW], device=points.device)) / rows * 2 - 1
    found = functional.grid_sample(brought.float(), at[:, :, None], align_corners=False)[..., 0].transpose(1, 2)
    apart = _huber(found * (SIZE / 2) - (there - here)).sum(2)
    weights = seen * _COUNTS.to(points.device)
    return (apart * weights).sum() / weights.sum().clamp_min(1.0)


def _huber(error: Tensor) -> Tensor:
    return functional.smooth_l1_loss(error, torch.zeros_like(error), reduction="none")
