"""What goes with a mouth of a working size: its patch's opacity, the rim of its lips, an image that is not too fine.

Lengths are in mouth widths; ``unit`` is one, in pixels.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from realtime_dub.blend.masks import Mask, dilated, feather, polygon
from realtime_dub.blend.warp import Box
from realtime_dub.fitting import shrunk
from realtime_dub.media import Image
from realtime_dub.mouth.mouthbank.bank import Mouth

LIP_RIM = 0.10  # skin around the lips that comes with a bank mouth
LIP_FEATHER = 0.05
EDGE_FEATHER = 0.07


def lips_and_rim(lips: npt.NDArray[np.float64], box: Box, unit: float) -> Mask:
    """The outer ``lips`` (20, 2) with a rim of skin, in ``box``: what a bank mouth covers, once it is feathered."""
    return polygon(dilated(lips, LIP_RIM * unit), box)


def as_fine(mouth: Mouth, unit: float) -> tuple[Image, npt.NDArray[np.float32]]:
    """A bank mouth's image and lips (40, 2) in it, not more than twice as fine as one of ``unit`` pixels."""
    image, lips = mouth.image, mouth.lips
    wide = float(np.linalg.norm(lips[0] - lips[10]))  # the corners
    if wide < 2 * unit:
        return image, lips
    factor = unit / wide
    size = max(8, round(image.shape[1] * factor)), max(8, round(image.shape[0] * factor))
    scale = np.array([size[0] / image.shape[1], size[1] / image.shape[0]], np.float32)
    return shrunk(image, size), (lips + np.float32(0.5)) * scale - np.float32(0.5)


def opacity_of(outline: npt.NDArray[np.float64], box: Box, unit: float, shrink: float = 1.0) -> Mask:
    """Opacity of the patch: soft inside the outline, zero outside and on the box's border.

    With ``shrink`` it is made so much smaller, and a pixel narrower, for the way back to stay inside.
    """
    x, y, width, height = box
    size = round(width / shrink), round(height / shrink)
    scale = np.array([size[0] / width, size[1] / height])
    small = (outline - (x, y) + 0.5) * scale - 0.5 if shrink > 1 else outline
    small_box = (0, 0, *size) if shrink > 1 else box
    sigma = EDGE_FEATHER * unit / shrink
    inside = polygon(small, small_box)
    alpha = feather(polygon(dilated(small, -2 * sigma), small_box), sigma)
    if shrink > 1:
        inside = np.asarray(cv2.erode(inside, np.ones((3, 3), np.uint8)), np.uint8)
    alpha = np.asarray(cv2.bitwise_and(alpha, cv2.threshold(inside, 254, 255, cv2.THRESH_BINARY)[1]), np.uint8)
    if shrink > 1:
        alpha = np.asarray(cv2.resize(alpha, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)
    alpha[0], alpha[-1], alpha[:, 0], alpha[:, -1] = 0, 0, 0, 0
    return alpha
