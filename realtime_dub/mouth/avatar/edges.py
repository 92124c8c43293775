"""An avatar's face as lines: what its picture net sees of a pose. The same pose gives the same pixels, to the bit.

Blue is the face's outline, brows and nose, green the eyes, red the lips, with what lies between them filled; yellow and
grey are shoulders and arms. Lines are drawn by OpenCV in integers, at a sixteenth of a pixel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from realtime_dub.face.alignment import project
from realtime_dub.face.landmarks import CHIN, LIPS_INNER, LIPS_OUTER
from realtime_dub.media import Image
from realtime_dub.mouth.avatar.pose import AvatarPose

Points2: TypeAlias = npt.NDArray[np.float32]  # (n, 2) pixels

SUBPIXEL = 4  # bits
OVAL = np.array(
    [
        *(10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152, 148, 176, 149),
        *(150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109),
    ]
)
EYE_LEFT = np.array([33, 246, 161, 160, 159, 158, 157, 173, 133, 155, 154, 153, 145, 144, 163, 7])
EYE_RIGHT = np.array([362, 398, 384, 385, 386, 387, 388, 466, 263, 249, 390, 373, 374, 380, 381, 382])
IRISES = (np.array([469, 470, 471, 472]), np.array([474, 475, 476, 477]))
BROWS = (np.array([70, 63, 105, 66, 107]), np.array([336, 296, 334, 293, 300]))
NOSE = (np.array([168, 6, 197, 195, 5, 4]), np.array([98, 97, 2, 326, 327]))
FACE_COLOUR, EYE_COLOUR, LIP_COLOUR = (255, 0, 0), (0, 255, 0), (0, 0, 255)  # BGR
BROW_COLOUR, IRIS_COLOUR, INSIDE_COLOUR = (255, 90, 0), (90, 255, 0), (0, 60, 150)
SHOULDER_COLOUR, ARM_COLOUR = (0, 160, 160), (90, 90, 90)
# Rows of what ``body.Body`` predicts, shoulders and hips, and behind them the neck (4).
BODY_LINES = (((0, 4, 1), SHOULDER_COLOUR), ((0, 2), ARM_COLOUR), ((1, 3), ARM_COLOUR))
FACE_LINES: tuple[tuple[npt.NDArray[np.int_], bool, tuple[int, int, int]], ...] = (
    (OVAL, True, FACE_COLOUR),
    *((row, False, FACE_COLOUR) for row in NOSE),
    *((row, False, BROW_COLOUR) for row in BROWS),
    *((row, True, IRIS_COLOUR) for row in IRISES),
    (EYE_LEFT, True, EYE_COLOUR),
    (EYE_RIGHT, True, EYE_COLOUR),
    (LIPS_OUTER, True, LIP_COLOUR),
    (LIPS_INNER, True, LIP_COLOUR),
)


@dataclass(frozen=True, slots=True)
class Square:
    """The part of the recording that an avatar shows: top left corner and side, pixels of the recording."""

    x: float
    y: float
    side: float

    def places(self, points: npt.NDArray[np.float32], size: int) -> Points2:
        """Where points (n, 2 or more) of the recording lie in the square's picture of ``size`` pixels a side.

        Middles of pixels are at whole numbers, in both.
        """
        corner = np.array([self.x - 0.5, self.y - 0.5], np.float32)
        return np.asarray((points[:, :2] - corner) * np.float32(size / self.side) - np.float32(0.5), np.float32)


def edges(pose: AvatarPose, body: Points2, square: Square, size: int) -> Image:
    """The drawing (size, size, 3) of a pose; ``body`` (4, 2): shoulders and hips, pixels of the recording."""
    face = square.places(project(pose.canonical, pose.pose), size)
    return drawn(face, square.places(body, size), size)


def drawn(face: Points2, body: Points2, size: int) -> Image:
    """The same of points that are in the picture's pixels: ``face`` (478, 2), ``body`` (4, 2)."""
    image, thick = np.zeros((size, size, 3), np.uint8), max(1, round(size / 256))
    neck = (body[:2].mean(0) + face[CHIN]) / 2  # half way from the chin: shoulders may lie below the picture
    joints, mesh = _fixed(np.concatenate([body, neck[None]]), size), _fixed(face, size)
    for row, colour in BODY_LINES:
        _line(image, joints[list(row)], False, colour, thick)
    cv2.fillPoly(image, [mesh[LIPS_INNER]], INSIDE_COLOUR, cv2.LINE_AA, SUBPIXEL)
    for points, closed, colour in FACE_LINES:
        _line(image, mesh[points], closed, colour, thick)
    return image


def _fixed(points: Points2, size: int) -> npt.NDArray[np.int32]:
    """In sixteenths of a pixel; what is far outside, or no number, is brought near."""
    near = np.clip(np.nan_to_num(points, nan=-size), -4 * size, 4 * size)
    return np.asarray(np.rint(near * (1 << SUBPIXEL)), np.int32)


def _line(image: Image, points: npt.NDArray[np.int32], closed: bool, colour: Sequence[int], thick: int) -> None:
    cv2.polylines(image, [points], closed, colour, thick, cv2.LINE_AA, SUBPIXEL)
