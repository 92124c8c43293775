"""Brings lips nearer to each other than anybody has seen them: a photograph with an open mouth, a long laugh.

One warp would press what lies between the lips, teeth and all, into a streak. So the upper lip, with the skin above,
is bent by its own points, the lower one by its own, and both cover the inside, which stays where it is: teeth do not
move.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from realtime_dub.blend.masks import SUBPIXEL, Mask, feather, polygon
from realtime_dub.blend.warp import Box, ThinPlate, moved_map, sample
from realtime_dub.face.alignment import LOWER, TEMPLATE, mouth_width
from realtime_dub.face.landmarks import LIPS_INNER, LIPS_OUTER, OPENING, mean
from realtime_dub.face.types import Points
from realtime_dub.media import Image

Floats2 = npt.NDArray[np.float64]

GRID = 1 / 14  # step of the coarse warp grids, mouth widths
STIFFNESS = 2e-4  # a tenth of the usual one: the two edges have to meet
INSET, INSET_LEAST, INSET_PX, INSET_MOST = 0.12, 0.02, 0.8, 0.4  # of lip heights, widths, pixels, heights: see _edge
INSET_FOUND = 0.6  # of a lip's height at most
SEARCH, SEARCHED, LIP_FROM = (-0.4, 0.8), 13, 0.45  # of a lip's height, where its edge is looked for; and surely lip
CONTRAST = 12.0  # levels of Lab between a lip and what is inside
INSET_CORNER = 0.5  # of the way from a corner's inner point to its outer one
INSET_FROM = 0.06  # mouth widths that the lips come nearer, from which all of the inset is taken
DARK = 0.3  # of the light is lost where lips meet
MEET = 0.04  # mouth widths: nearer lips begin to
BEYOND = 0.6  # mouth widths from the middle: the skin there goes with both lips
PRESSED = 0.015  # how far the tracker's inner lips overlap where real ones are pressed together
LINE, LINE_SOFT, SEAM_SOFT = 0.02, 0.012, 0.05  # mouth widths

# From the left corner to the right one, both corners in both.
_UPPER, _LOWER = LIPS_INNER[:11], np.r_[LIPS_INNER[0], LIPS_INNER[:9:-1]]
_UPPER_OUTER, _LOWER_OUTER = LIPS_OUTER[:11], np.r_[LIPS_OUTER[0], LIPS_OUTER[:9:-1]]


@dataclass(frozen=True, slots=True, eq=False)
class Bend:
    """A face that is to be bent: its ``points`` (478, 3) to ``goal``, frame pixels."""

    points: Points
    goal: Points
    skin: npt.NDArray[np.intp]  # points beside the lips that move, too
    anchors: Floats2  # (n, 2) pixels that stay
    box: Box  # what is drawn
    unit: float  # a mouth width, pixels

    def half(self, image: Image, outer: npt.NDArray[np.intp], inner: npt.NDArray[np.intp]) -> Image:
        """The box's picture, right on one lip and on its side of the mouth."""
        skin = self.skin[_beside(self.skin, outer)]
        target = np.concatenate([self.goal[outer, :2], self.goal[inner, :2], self.goal[skin, :2], self.anchors])
        edge = self._edge(image, outer, inner)
        source = np.concatenate([self.points[outer, :2], edge, self.points[skin, :2], self.anchors])
        plate = ThinPlate(target, source, self.unit, STIFFNESS)
        return sample(image, moved_map(self.box, plate.field(self.box, self.unit * GRID)))

    def _edge(self, image: Image, outer: npt.NDArray[np.intp], inner: npt.NDArray[np.intp]) -> npt.NDArray[np.float32]:
        """A lip's inner edge (11, 2): where the colour says so, because trackers often take teeth for lips."""
        across = self.points[outer, :2] - self.points[inner, :2]
        height = np.linalg.norm(across, axis=1, keepdims=True) + 1e-6
        inset = np.minimum(INSET + (INSET_LEAST * self.unit + INSET_PX) / height, INSET_MOST)
        inset = np.maximum(inset, _lip_begins(image, self.points[inner, :2], across))
        inset[[0, -1]] = INSET_CORNER
        closing = (_gap(self.points) - _gap(self.goal)) / self.unit
        share = float(np.clip(closing / INSET_FROM, 0, 1))
        return np.asarray(self.points[inner, :2] + share * inset * across, np.float32)


def _beside(skin: npt.NDArray[np.intp], outer: npt.NDArray[np.intp]) -> npt.NDArray[np.bool_]:
    """Points that go with a lip: on its own side of the mouth, or beyond the corners.

    The other lip's skin comes from far away when the mouth shuts, and would pull teeth over this lip.
    """
    down, middle = TEMPLATE[skin, 1] - TEMPLATE[outer[0], 1], TEMPLATE[outer[5], 1] - TEMPLATE[outer[0], 1]
    return np.asarray((down * middle > 0) | (np.abs(TEMPLATE[skin, 0]) > BEYOND))


def _lip_begins(image: Image, inner: npt.NDArray[np.float32], across: npt.NDArray[np.float32]) -> Floats2:
    """From its inner edge (11, 2), the share (11, 1) of a lip's height from which on the picture shows lip."""
    at = np.linspace(*SEARCH, SEARCHED).astype(np.float32)
    seen = sample(image, inner[:, None] + at[:, None] * across[:, None])
    colours = cv2.cvtColor(seen, cv2.COLOR_BGR2LAB).astype(np.float64)
    lip = np.median(colours[1:-1, at > LIP_FROM].reshape(-1, 3), axis=0)
    unlike = np.linalg.norm(colours - lip, axis=-1)  # (11, n)
    # Otsu's threshold along each line: what lies before the best split is not the lip, if it looks different at all.
    count = np.arange(1, SEARCHED)
    before = np.cumsum(unlike, 1)[:, :-1] / count
    after = (unlike.sum(1, keepdims=True) - before * count) / (SEARCHED - count)
    contrast = np.maximum(before - after, 0)
    best = (count * (SEARCHED - count) * contrast**2).argmax(1)
    found = np.where(contrast[np.arange(len(best)), best] > CONTRAST, at[best + 1], 0)
    smooth = np.convolve(np.pad(found, 2, "edge"), [0.1, 0.2, 0.4, 0.2, 0.1], "valid")
    return np.maximum(smooth, found)[:, None].clip(0, INSET_FOUND)


def bring_nearer(image: Image, bend: Bend) -> Image:
    """The picture of ``bend.box`` with the lips nearer to each other."""
    goal, box, unit = _untangled(bend.goal), bend.box, bend.unit
    bend = replace(bend, goal=goal)
    upper, lower = bend.half(image, _UPPER_OUTER, _UPPER), bend.half(image, _LOWER_OUTER, _LOWER)
    x, y, width, height = box
    above, above_lower = _above(goal[_UPPER], box, unit), _above(goal[_LOWER], box, unit)
    region = _mixed(lower.astype(np.float32), upper, _seam(above, goal, box, unit))
    region *= 1 - DARK * _share(_line(goal, box, unit))
    inside = cv2.subtract(above_lower, above)  # nothing at all where lips touch, which no polygon of theirs would be
    return np.asarray(_mixed(region, image[y : y + height, x : x + width], np.asarray(inside)) + 0.5, np.uint8)


def until_lips_touch(neutral: Points, moved: Points) -> Points:
    """``moved`` (len(LOWER), 3) from ``neutral``, shortened where the lips would pass through each other."""
    upper, lower = np.searchsorted(LOWER, OPENING).T
    resting = float(mean(neutral[OPENING[:, 1], 1] - neutral[OPENING[:, 0], 1]))
    opened = float(mean(moved[lower, 1] - moved[upper, 1]))
    least = min(resting, -PRESSED * mouth_width(neutral))
    if resting + opened >= least:
        return moved
    return moved * np.float32((least - resting) / opened)


def _share(mask: Mask) -> npt.NDArray[np.float32]:
    return mask[..., None].astype(np.float32) / 255


def _mixed(below: npt.NDArray[np.float32], over: Image, mask: Mask) -> npt.NDArray[np.float32]:
    return np.asarray(below + _share(mask) * (over - below), np.float32)


def _gap(points: Points) -> float:
    return float((points[_LOWER, 1] - points[_UPPER, 1]).mean())


def _untangled(goal: Points) -> Points:
    """``goal`` with inner lips that have passed each other put where they meet."""
    goal = goal.copy()
    crossed = (goal[_LOWER, 1] <= goal[_UPPER, 1])[:, None]
    middle = (goal[_LOWER] + goal[_UPPER]) / 2
    for lip in (_UPPER, _LOWER):
        goal[lip] = np.where(crossed, middle, goal[lip])
    return goal


def _above(edge: npt.NDArray[np.float32], box: Box, unit: float) -> Mask:
    """What lies above a lip's edge (11, 3) and its prolongations to both sides."""
    x, y, width, _ = box
    left, right, top = x - unit, x + width + unit, y - unit
    sides = np.array([[right, edge[-1, 1]], [right, top], [left, top], [left, edge[0, 1]]])
    return polygon(np.concatenate([edge[:, :2].astype(np.float64), sides]), box)


def _seam(above: Mask, goal: Points, box: Box, unit: float) -> Mask:
    """``above``, sharp along the lips and soft beyond the corners, where both halves nearly agree."""
    lips = feather(polygon(goal[LIPS_OUTER].astype(np.float64), box), SEAM_SOFT / 2 * unit).astype(np.float32)
    soft = feather(above, SEAM_SOFT * unit)
    return np.asarray(soft + np.clip(lips * (2 / 255), 0, 1) * (above.astype(np.float32) - soft), np.uint8)


def _line(goal: Points, box: Box, unit: float) -> Mask:
    """The shadow where the lips meet."""
    mask = np.zeros((box[3], box[2]), np.uint8)
    meet = np.clip(1 - (goal[_LOWER, 1] - goal[_UPPER, 1]) / (MEET * unit), 0, 1)
    at = np.rint((goal[_UPPER, :2] - box[:2]) * (1 << SUBPIXEL)).astype(np.int32)
    width = max(1, round(LINE * unit))
    for here in range(len(at) - 1):
        level = round(255 * float(min(meet[here], meet[here + 1])))
        cv2.line(mask, at[here].tolist(), at[here + 1].tolist(), (level,), width, cv2.LINE_AA, SUBPIXEL)
    return feather(mask, LINE_SOFT * unit)
