"""The inside of a mouth that nobody has seen open: a dark cavity between the lips, never a smear of stretched skin."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from realtime_dub.blend.masks import bounding_box, feather, polygon
from realtime_dub.blend.warp import Box
from realtime_dub.face.landmarks import LIPS_INNER, LIPS_OUTER
from realtime_dub.face.types import Points
from realtime_dub.media import Image

SEEN_ENOUGH = 0.55  # share of the wanted opening that a real picture must show to be stretched instead of painted
DARKNESS = 0.22  # of the lips' own colour


def paint_cavity(region: Image, goal: Points, box: Box, unit: float, seen_gap: npt.NDArray[np.float32]) -> Image:
    """Darken the target's inner mouth where it is open much wider than in the picture that was warped there.

    ``goal`` (478, 3) target points in frame pixels, ``region`` the picture of ``box``, changed in place and returned.
    """
    wanted = np.linalg.norm(goal[LIPS_INNER[1:10], :2] - goal[LIPS_INNER[:10:-1], :2], axis=1) / unit
    missing = float(np.clip((wanted.max() * SEEN_ENOUGH - seen_gap.max()) / 0.04, 0, 1))
    if missing <= 0:
        return region
    hole = feather(polygon(goal[LIPS_INNER].astype(np.float64), box), 0.018 * unit)
    alpha = hole.astype(np.float32)[..., None] * np.float32(missing / 255)
    shade = _shade(region, goal, box)
    region[:] = (region + alpha * (shade - region) + 0.5).astype(np.uint8)
    return region


def _shade(region: Image, goal: Points, box: Box) -> npt.NDArray[np.float32]:
    """A dark red-brown taken from the lips, darkest under the upper lip, where the mouth is deepest in shadow."""
    lips = polygon(goal[LIPS_OUTER].astype(np.float64), box) > 127
    lips &= polygon(goal[LIPS_INNER].astype(np.float64), box) == 0
    colour = np.median(region[lips], axis=0) if lips.any() else np.array([40.0, 40.0, 60.0])
    _, y, _, h = bounding_box(goal[LIPS_INNER].astype(np.float64), 0, box[0] + box[2], box[1] + box[3])
    depth = np.clip((np.arange(box[1], box[1] + box[3]) - y) / max(1, h), 0, 1).astype(np.float32)
    light = DARKNESS * (0.7 + 0.6 * depth)
    return np.asarray(light[:, None, None] * colour.astype(np.float32) * np.ones((1, box[2], 1), np.float32))
