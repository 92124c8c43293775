"""Frames in YUV 4:2:0, BT.601, 16..235: what came so leaves so, and only what was drawn is converted.

Browsers send and expect this without a tag, cameras give it, and virtual cameras take it.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import cv2
import numpy as np

from realtime_dub.media import Box, Coded, Image, Plane, Tick

Planes: TypeAlias = Plane  # (height * 3 / 2, width): luma, then both chroma planes, without gaps
_NO_MASK: Any = None  # of which OpenCV's types do not know


def coded_of(planes: Planes) -> Coded:
    """Views of ``planes``."""
    return Coded(parts(planes), hd=False, full_range=False)


def image_of(planes: Planes) -> Image:
    return np.asarray(cv2.cvtColor(planes, cv2.COLOR_YUV2BGR_I420), np.uint8)


def planes_of(tick: Tick) -> Planes:
    """The tick's picture, of even size; of one that came so, only what has changed is converted."""
    coded, image = tick.coded, tick.image
    if coded is None or coded.hd or coded.full_range or coded.planes[0].shape != image.shape[:2]:
        return _converted(image)
    height, width = image.shape[:2]
    planes = np.empty((height * 3 // 2, width), np.uint8)
    for part, source in zip(parts(planes), coded.planes, strict=True):
        cv2.copyTo(source, _NO_MASK, part)  # NumPy's copy would stop all of Python
    for box in tick.changed:
        if box[2] and box[3]:
            _change(planes, image, box)
    return planes


def _change(planes: Planes, image: Image, box: Box) -> None:
    """Convert ``box`` of ``image`` into ``planes``: OpenCV's colours are those of blocks of two by two pixels."""
    left, top = box[0] & ~1, box[1] & ~1
    right, bottom = (box[0] + box[2] + 1) & ~1, (box[1] + box[3] + 1) & ~1
    changed = parts(_converted(image[top:bottom, left:right]))
    for part, drawn, step in zip(parts(planes), changed, (1, 2, 2), strict=True):
        cv2.copyTo(drawn, _NO_MASK, part[top // step : bottom // step, left // step : right // step])


def _converted(image: Image) -> Planes:
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2YUV_I420), np.uint8)


def parts(planes: Planes) -> tuple[Plane, Plane, Plane]:
    """Views of ``planes``: luma, and both chroma planes."""
    height, width = planes.shape[0] * 2 // 3, planes.shape[1]
    blue, red = planes[height:].reshape(2, height // 2, width // 2)
    return planes[:height], blue, red
