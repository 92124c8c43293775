"""Squares cut out of a face for networks that paint them, and the way back into the frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from realtime_dub.face.alignment import TEMPLATE, project
from realtime_dub.face.landmarks import CORNERS, LIPS
from realtime_dub.face.types import Face, Pose
from realtime_dub.media import Image

Alignment = Literal["box", "template", "pose"]
Margins = tuple[float, float, float, float]  # top, bottom, left, right, of the box's height and width
OVAL = 468  # points of the face without the irises
_DEPTH = float(TEMPLATE[LIPS, 2].mean())
_EYES = ((33, 133), (362, 263))  # the corners of the left one and of the right one


@dataclass(frozen=True, slots=True, eq=False)
class Crop:
    """Where a crop lies in the frame. ``matrix`` (2, 3) takes the frame's pixels to the crop's."""

    matrix: npt.NDArray[np.float64]
    size: int  # pixels a side

    def take(self, image: Image) -> Image:
        """The crop (size, size, 3) of a frame; what lies outside the frame repeats its border."""
        size, how = (self.size, self.size), cv2.INTER_LINEAR  # warps have no mean over areas
        found = cv2.warpAffine(image, self.matrix, size, flags=how, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(found, np.uint8)

    @property
    def back(self) -> npt.NDArray[np.float64]:
        """The matrix (2, 3) from the crop's pixels to the frame's."""
        return np.asarray(cv2.invertAffineTransform(self.matrix), np.float64)

    def corners(self) -> npt.NDArray[np.float64]:
        """The crop's corners (4, 2) in the frame."""
        side = self.size - 1
        square = np.array([[0, 0], [side, 0], [0, side], [side, side]], np.float64)
        return np.asarray(square @ self.back[:, :2].T + self.back[:, 2], np.float64)


def crop_of(face: Face, size: int, alignment: Alignment = "box", margins: Margins = (0.0, 0.1, 0.0, 0.0)) -> Crop:
    """The crop of ``face`` that a network wants: upright around its points, or turned as the template lies.

    A box is stretched to a square, as the networks that were trained on boxes expect it. ``pose`` is turned by what
    speech does not move: such a crop says nothing of the mouth that it hides.
    """
    if alignment == "pose":
        low, high = _with_margins(TEMPLATE[:OVAL, :2].min(0), TEMPLATE[:OVAL, :2].max(0), margins)
        x, y = (low + high) / 2
        return crop_about(face.pose, size, float(np.max(high - low)), (float(x), float(y), _DEPTH))
    if alignment == "box":
        return _boxed(face.points[:OVAL, :2].astype(np.float64), size, margins)
    return _aligned(face.points[:, :2].astype(np.float64), size, margins)


def crop_about(pose: Pose, size: int, side: float, centre: tuple[float, float, float]) -> Crop:
    """The square about ``centre`` of the canonical face, ``side`` template units wide, upright in the face's plane."""
    x, y, _ = project(np.array([centre], np.float32), pose)[0].tolist()
    first = pose.rotation[:2, 0]
    along = first / np.sqrt(first.dot(first))
    pixels, middle = size / (side * pose.scale), (size - 1) / 2
    right, down = (each * pixels for each in along.tolist())
    matrix = [[right, down, middle - (right * x + down * y)], [-down, right, middle - (right * y - down * x)]]
    return Crop(np.array(matrix, np.float64), size)


def _boxed(points: npt.NDArray[np.float64], size: int, margins: Margins) -> Crop:
    low, high = _with_margins(points.min(0), points.max(0), margins)
    scale = (size - 1) / np.maximum(high - low, 1)
    return Crop(np.array([[scale[0], 0, -scale[0] * low[0]], [0, scale[1], -scale[1] * low[1]]]), size)


def _aligned(points: npt.NDArray[np.float64], size: int, margins: Margins) -> Crop:
    """The similarity (Umeyama 1991, as complex numbers) that takes eyes and mouth to where the template has them."""
    template = TEMPLATE[:, :2].astype(np.float64)
    low, high = _with_margins(template[:OVAL].min(0), template[:OVAL].max(0), margins)
    side = float(np.max(high - low))
    corner = (low + high - side) / 2
    wanted = _anchors((template - corner) * (size - 1) / side)
    there = _anchors(points)
    a, b = (each - each.mean() for each in (there, wanted))
    turn = np.vdot(a, b) / np.vdot(a, a)
    shift = wanted.mean() - turn * there.mean()
    return Crop(np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]]), size)


def _anchors(points: npt.NDArray[np.float64]) -> npt.NDArray[np.complex128]:
    """The middle of each eye and the corners of the mouth (4,)."""
    eyes = [points[list(pair)].mean(0) for pair in _EYES]
    return np.asarray(np.stack([*eyes, *points[list(CORNERS)]]) @ np.array([1, 1j]))


def _with_margins(
    low: npt.NDArray[np.float64], high: npt.NDArray[np.float64], margins: Margins
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    top, bottom, left, right = margins
    size = high - low
    return low - size * np.array([left, top]), high + size * np.array([right, bottom])
