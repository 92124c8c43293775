"""Soft masks from landmarks."""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt

from realtime_dub.blend.warp import Box
from realtime_dub.face.landmarks import JAW, LIPS, mean
from realtime_dub.face.types import Points

Mask = npt.NDArray[np.uint8]
CHIN_ROOM = 0.22  # mouth widths under the chin, where a dropping jaw goes
# Full room at the chin, none at the ears.
_CHIN_SHARE = np.sin(np.linspace(0, np.pi, len(JAW)))[:, None] ** 2
# From the right end of the jaw back to the left: cheek, wing of the nose, base of the nose, and mirrored.
_UPPER_EDGE = np.array([425, 327, 2, 98, 205])
COARSE_SIGMA = 2.0  # pixels; wider blurs are made smaller first
_TURNED = np.array([1.0, -1.0])
SLOPE = 3.0  # of a round mask: whole up to 0.82 of its radius
SUBPIXEL = 3  # bits, for polygons that move by fractions of a pixel without shimmering


def polygon(points: npt.NDArray[np.float64], box: Box) -> Mask:
    """A filled polygon (n, 2) in frame pixels, as a mask of ``box``."""
    mask = np.zeros((box[3], box[2]), np.uint8)
    fill(mask, points[:, :2] - box[:2])
    return mask


def fill(mask: Mask, corners: npt.NDArray[np.float64]) -> None:
    """Fill a polygon (n, 2) of a mask's pixels in it, in place."""
    corners = np.rint(corners * (1 << SUBPIXEL)).astype(np.int32)
    cv2.fillPoly(mask, [corners], (255,), lineType=cv2.LINE_AA, shift=SUBPIXEL)


def feather(mask: Mask, sigma: float) -> Mask:
    """The mask with soft edges, ``sigma`` pixels."""
    shrink = int(sigma / COARSE_SIGMA)
    if shrink > 1:  # a soft edge has no detail: a small picture of it does, at a fraction of the work
        height, width = mask.shape
        size = (max(1, width // shrink), max(1, height // shrink))
        small = feather(np.asarray(cv2.resize(mask, size, interpolation=cv2.INTER_AREA)), sigma / shrink)
        return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)
    # As GaussianBlur, which takes three times as long for bytes: it reckons in whole numbers, and is off by a level.
    sigma = max(0.3, sigma)
    kernel = cv2.getGaussianKernel(round(6 * sigma + 1) | 1, sigma, cv2.CV_32F)
    return np.asarray(cv2.sepFilter2D(mask, cv2.CV_8U, kernel, kernel, borderType=cv2.BORDER_CONSTANT), np.uint8)


def rounded(centre: npt.NDArray[np.float32], radius: float, box: Box) -> npt.NDArray[np.float32]:
    """alpha = clip(3 (1 - d^2 / r^2)) at the pixels of ``box`` (height, width), 0..1; as in
    tanjimin/unsupervised-video-dubbing.
    """
    x, y = (np.arange(count) + start - at for count, start, at in zip(box[2:], box[:2], centre, strict=True))
    squared = (x * x)[None] + (y * y)[:, None]
    return np.asarray(np.clip(SLOPE * (1 - squared / (radius * radius)), 0, 1), np.float32)


def dilated(points: npt.NDArray[np.float64], by: float) -> npt.NDArray[np.float64]:
    """A closed outline (n, 2) moved outwards by ``by`` pixels along its normals; negative moves inwards."""
    points = np.asarray(points[:, :2], np.float64)
    around = np.concatenate([points[-1:], points, points[:1]])
    normal = (around[2:] - around[:-2])[:, ::-1] * _TURNED
    normal /= np.sqrt(np.add.reduce(normal * normal, 1))[:, None] + 1e-9
    outward = np.vdot(points - np.add.reduce(points, 0) / len(points), normal) >= 0
    return np.asarray(points + (by if outward else -by) * normal, np.float64)


def bounding_box(points: npt.NDArray[np.float64], margin: float, width: int, height: int) -> Box:
    """The box around points (n, 2), inside a frame of ``width`` x ``height``; may be empty (zero width or height)."""
    (left, top, *_), (right, bottom, *_) = np.minimum.reduce(points).tolist(), np.maximum.reduce(points).tolist()
    x, y = min(max(math.floor(left - margin), 0), width), min(max(math.floor(top - margin), 0), height)
    end = min(max(math.ceil(right + margin) + 1, x), width), min(max(math.ceil(bottom + margin) + 1, y), height)
    return x, y, end[0] - x, end[1] - y


def around(points: npt.NDArray[np.float64], margin: float, box: Box) -> Box:
    """The part of ``box`` that is nearer than ``margin`` to points (n, 2) or between them; may be empty."""
    return within(bounding_box(points, margin, box[0] + box[2], box[1] + box[3]), box)


def within(box: Box, outer: Box) -> Box:
    """The part of ``box`` that lies in ``outer``; may be empty."""
    x, y = max(box[0], outer[0]), max(box[1], outer[1])
    right, bottom = min(box[0] + box[2], outer[0] + outer[2]), min(box[1] + box[3], outer[1] + outer[3])
    return x, y, max(0, right - x), max(0, bottom - y)


def lower_face(points: Points, unit: float) -> npt.NDArray[np.float64]:
    """The outline (n, 2) of the one region that dubbing may touch: from the nose's base to a little under the chin.

    ``points`` (478, 3) in frame pixels, ``unit`` a mouth width in pixels. The room under the chin is for the jaw.
    """
    jaw = points[JAW, :2].astype(np.float64)
    outward = jaw - mean(points[LIPS, :2])
    outward /= np.sqrt(np.add.reduce(outward * outward, 1))[:, None]
    jaw += outward * (CHIN_ROOM * unit * _CHIN_SHARE)
    return np.concatenate([jaw, points[_UPPER_EDGE, :2]])
