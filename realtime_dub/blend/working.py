"""Pictures at a bounded size to work in, and the way back with the detail that the large picture has.

What is drawn into a mouth has no more detail than a mouth of so many pixels; skin has as much as the camera gives.
"""

from __future__ import annotations

from typing import Self

import cv2
import numpy as np
import numpy.typing as npt

from realtime_dub.blend.masks import Mask
from realtime_dub.blend.warp import Box
from realtime_dub.fitting import shrunk
from realtime_dub.media import Image


class WorkingCopy:
    """A part of a drawn region to be drawn in; where the mouth is large, at a smaller size."""

    def __init__(self, image: Image, box: Box, size: tuple[int, int] | None = None) -> None:
        """``image``: the pixels of ``box``, which :meth:`lay_back` changes; ``size``: what they are worked on at."""
        self._whole, self._whole_box = image, box
        self._before: Image | None = None if size is None else shrunk(image, size)
        self.image = image if self._before is None else self._before.copy()
        self.box = box if size is None else (0, 0, *size)
        self._scale = np.array([self.box[2] / box[2], self.box[3] / box[3]])

    @classmethod
    def of(cls, region: Image, region_box: Box, box: Box, shrink: float) -> Self:
        """The part ``box`` of a ``region`` that is the picture of ``region_box``."""
        x, y, width, height = box[0] - region_box[0], box[1] - region_box[1], box[2], box[3]
        size = (max(1, round(width / shrink)), max(1, round(height / shrink)))
        part = region[y : y + height, x : x + width]
        return cls(part, box, size if shrink > 1 and size != (width, height) else None)

    def points(self, points: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Points (n, 2 or 3) of the frame, in pixels of ``box``. Pixel centres lie at halves; depth stays."""
        if self._before is None:
            return points
        there = points.copy()
        there[:, :2] = (points[:, :2] - self._whole_box[:2] + 0.5) * self._scale - 0.5
        return there

    def length(self, pixels: float) -> float:
        """A length in the frame, in pixels of ``box``."""
        return pixels if self._before is None else pixels * float(self._scale.mean())

    def lay_back(self, drawn: Mask) -> None:
        """Bring what was drawn into the region. Its fine detail stays, but where ``drawn`` (of ``image``'s size) is."""
        if self._before is None:
            return
        size = self._whole.shape[1], self._whole.shape[0]
        how = cv2.INTER_CUBIC
        large, plain = (
            np.asarray(cv2.resize(e, size, interpolation=how), np.uint8) for e in (self.image, self._before)
        )
        kept = cv2.resize(cv2.bitwise_not(drawn), size, interpolation=cv2.INTER_LINEAR)
        detail = self._whole.astype(np.int16)
        detail -= plain
        cv2.multiply(detail, cv2.cvtColor(kept, cv2.COLOR_GRAY2BGR).astype(np.int16), dst=detail, scale=1 / 255)
        detail += large
        self._whole[:] = cv2.convertScaleAbs(np.maximum(detail, 0, out=detail))
