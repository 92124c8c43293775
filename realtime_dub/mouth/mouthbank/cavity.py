"""The inside of a mouth that nobody has seen open: a dark cavity between the lips, never a smear of stretched skin."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from realtime_dub.blend.colour import chosen, median
from realtime_dub.blend.masks import around, feather, polygon
from realtime_dub.blend.warp import Box
from realtime_dub.face.landmarks import LIPS, LIPS_INNER, LIPS_OUTER, mean
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


def reach_of_each(seen: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """How far pictures that show these openings (n,) may be opened."""
    inside = np.clip((seen - SHUT) / (PARTED - SHUT), 0.0, 1.0)
    return np.asarray(seen * (1 + (STRETCH - 1) * inside), np.float64)


def missing_each(wanted: float, reach: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """:func:`missing` for several pictures (n,), of which it is known how far each may be opened."""
    share = (wanted - reach - TOLERANCE) / RAMP
    return np.asarray(np.minimum(np.maximum(share, 0.0), 1.0), np.float64)


def paint_cavity(region: Image, goal: Points, box: Box, unit: float, share: float) -> None:
    """Darken the inner mouth of the target by ``share`` 0..1, in place.

    ``goal`` (478, 3) target points in frame pixels, ``region`` the picture of ``box``, ``unit`` a mouth width.
    """
    if share <= 0:
        return
    lips = goal[LIPS, :2].astype(np.float64)
    inner = lips[len(LIPS_OUTER) :]
    area = around(inner, 4 * SOFT * unit + 2, box)
    if min(area[2:]) < 1:
        return
    hole = feather(polygon(inner, area), SOFT * unit).astype(np.float32)
    hole *= np.float32(share / 255)
    shade = _shade(goal, area, _flesh(region, lips, box))
    x, y = area[0] - box[0], area[1] - box[1]
    below = region[y : y + area[3], x : x + area[2]]
    shade -= below
    shade *= cv2.merge([hole] * 3)
    shade += below
    shade += np.float32(0.5)
    below[:] = shade


def _flesh(region: Image, lips: npt.NDArray[np.float64], box: Box) -> npt.NDArray[np.float64]:
    """The colour of the lips (40, 2), BGR."""
    outer, inner = lips[: len(LIPS_OUTER)], lips[len(LIPS_OUTER) :]
    area = around(lips, 1, box)
    flesh = (polygon(outer, area) > 127) & (polygon(inner, area) == 0)
    x, y = area[0] - box[0], area[1] - box[1]
    colours = chosen(region[y : y + area[3], x : x + area[2]], flesh)
    return median(colours) if len(colours) else FALLBACK_LIPS


def _shade(goal: Points, box: Box, colour: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """A dark red like the lips' ``colour``: nearly black under the upper lip, a dim tongue on the mouth's floor."""
    corners = goal[LIPS_INNER, :2]
    x, y = mean(corners)
    low, high = np.minimum.reduce(corners), np.maximum.reduce(corners)
    half_width, half_height = np.maximum((high - low) / 2, 1)
    across = (np.arange(box[0], box[0] + box[2], dtype=np.float32) - x) / half_width
    down = (np.arange(box[1], box[1] + box[3], dtype=np.float32) - y) / half_height
    floor = np.minimum(np.maximum((down + 0.5) / 1.5, 0), 1)
    light = np.maximum(1 - across * across, 0) * (floor * floor)[:, None]
    light *= TONGUE - DARKEST
    light += DARKEST
    return np.asarray(cv2.merge([light * level for level in (colour * FLESH).astype(np.float32)]), np.float32)
