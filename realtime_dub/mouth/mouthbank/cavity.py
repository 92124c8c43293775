"""The inside of a mouth that nobody has seen open: a dark cavity between the lips, never a smear of stretched skin."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from realtime_dub.blend.colour import chosen, median
from realtime_dub.blend.masks import around, feather, polygon
from realtime_dub.blend.warp import Box
from realtime_dub.face.landmarks import LIPS_INNER, LIPS_OUTER
from realtime_dub.face.types import Points
from realtime_dub.media import Image

SHUT, PARTED = 0.02, 0.04  # mouth widths between the inner lips: below, nothing of the inside is seen; above, enough
STRETCH = 2.2  # how much wider a real inside may be pulled before it is painted instead
TOLERANCE, RAMP = 0.012, 0.025  # the paint fades in with what is missing
SOFT = 0.025  # sigma of the paint's edge, mouth widths
DARKEST, TONGUE = 0.15, 0.62  # of the lips' own brightness
FLESH = np.array([0.78, 0.74, 1.08])  # the inside is redder than the lips, whatever the skin; BGR
FALLBACK_LIPS = np.array([70.0, 70.0, 130.0])  # where no pixel of the lips is left to look at


def max_lip_opening(shape: npt.NDArray[np.float32]) -> float:
    """The widest opening of the inner lips of a lip shape (40, 2 or 3), outer lips first, in the unit of the shape."""
    apart = shape[21:30] - shape[39:30:-1]
    return float(np.sqrt(np.add.reduce(apart * apart, 1).max()))  # asked for often: as np.linalg.norm, in half the time


def missing(wanted: float, seen: float) -> float:
    """What share of an opening ``wanted`` must be painted when the picture shows one of ``seen`` (mouth widths)."""
    inside = min(1.0, max(0.0, (seen - SHUT) / (PARTED - SHUT)))  # of one number NumPy makes ten times the work
    reach = seen * (1 + (STRETCH - 1) * inside)
    return min(1.0, max(0.0, (wanted - reach - TOLERANCE) / RAMP))


def missing_each(wanted: float, seen: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """:func:`missing` for several pictures (n,)."""
    inside = np.clip((seen - SHUT) / (PARTED - SHUT), 0.0, 1.0)
    reach = seen * (1 + (STRETCH - 1) * inside)
    return np.asarray(np.clip((wanted - reach - TOLERANCE) / RAMP, 0.0, 1.0), np.float64)


def paint_cavity(region: Image, goal: Points, box: Box, unit: float, share: float) -> None:
    """Darken the inner mouth of the target by ``share`` 0..1, in place.

    ``goal`` (478, 3) target points in frame pixels, ``region`` the picture of ``box``, ``unit`` a mouth width.
    """
    if share <= 0:
        return
    area = around(goal[LIPS_INNER].astype(np.float64), 4 * SOFT * unit + 2, box)
    if min(area[2:]) < 1:
        return
    hole = feather(polygon(goal[LIPS_INNER].astype(np.float64), area), SOFT * unit)
    alpha = cv2.merge([hole.astype(np.float32) * np.float32(share / 255)] * 3)
    shade = _shade(goal, area, _flesh(region, goal, box))
    x, y = area[0] - box[0], area[1] - box[1]
    below = region[y : y + area[3], x : x + area[2]]
    below[:] = (below + alpha * (shade - below) + 0.5).astype(np.uint8)


def _flesh(region: Image, goal: Points, box: Box) -> npt.NDArray[np.float64]:
    """The colour of the lips, BGR."""
    outer, inner = goal[LIPS_OUTER].astype(np.float64), goal[LIPS_INNER].astype(np.float64)
    area = around(np.concatenate([outer, inner]), 1, box)
    lips = (polygon(outer, area) > 127) & (polygon(inner, area) == 0)
    x, y = area[0] - box[0], area[1] - box[1]
    return median(chosen(region[y : y + area[3], x : x + area[2]], lips)) if lips.any() else FALLBACK_LIPS


def _shade(goal: Points, box: Box, colour: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """A dark red like the lips' ``colour``: nearly black under the upper lip, a dim tongue on the mouth's floor."""
    corners = goal[LIPS_INNER, :2]
    x, y = corners.mean(0)
    half_width, half_height = np.maximum(np.ptp(corners, axis=0) / 2, 1)
    across = (np.arange(box[0], box[0] + box[2], dtype=np.float32) - x) / half_width
    down = (np.arange(box[1], box[1] + box[3], dtype=np.float32) - y) / half_height
    tongue = np.clip(1 - across[None, :] ** 2, 0, 1) * np.clip((down[:, None] + 0.5) / 1.5, 0, 1) ** 2
    light = DARKEST + (TONGUE - DARKEST) * tongue
    return np.asarray(light[..., None] * (colour * FLESH), np.float32)
