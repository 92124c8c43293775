"""The picture that an avatar is shown in: as large as was asked for, and what of it lies behind the person."""

from __future__ import annotations

import cv2
import numpy as np

from realtime_dub.errors import ConfigError
from realtime_dub.fitting import Size
from realtime_dub.media import Floats, Image
from realtime_dub.mouth.avatar.edges import Points2

__all__ = ["Canvas", "covering"]

EDGE = 0.05  # of the square's side: so softly it ends where a backdrop goes on beside it
LEAST, MOST = 64, 4096  # pixels a side


class Canvas:
    """A picture of ``size``, in whose middle, and at whose bottom, the square lies that the avatar is painted in.

    ``backdrop`` (h, w, 3) covers all of it. Without one, what was behind the person in the recording, ``plate``
    (n, n, 3), is behind the square, and black bars are beside it. Raises ConfigError.
    """

    def __init__(self, plate: Image, backdrop: Image | None = None, size: Size | None = None) -> None:
        width, height = size or (plate.shape[1], plate.shape[0])
        if not LEAST <= min(width, height) <= max(width, height) <= MOST:
            raise ConfigError(
                "cannot show an avatar at", f"{width}x{height}", f"give a size from {LEAST} to {MOST} pixels a side"
            )
        self.side = min(width, height)
        x, y = (width - self.side) // 2, height - self.side
        self._place = slice(y, y + self.side), slice(x, x + self.side)
        if backdrop is None:
            self._whole = np.zeros((height, width, 3), np.uint8)
            self._whole[self._place] = covering(plate, (self.side, self.side))
        else:
            self._whole = covering(backdrop, (width, height))
        self._corner = np.array([x, y], np.float32)
        self._edge = _edge(self.side) if backdrop is not None and width > self.side else None

    @property
    def behind(self) -> Image:
        """What is behind the square (side, side, 3)."""
        return self._whole[self._place]

    def share(self, share: Floats) -> Floats:
        """How much of each pixel of the square is the person (side, side), as it is shown."""
        return share if self._edge is None else share * self._edge

    def with_square(self, square: Image) -> Image:
        """The whole picture with ``square`` (side, side, 3) in its place."""
        if self._whole.shape == square.shape:
            return square
        whole = self._whole.copy()
        whole[self._place] = square
        return whole

    def places(self, points: Points2) -> Points2:
        """Where points (n, 2) of the square lie in the whole picture."""
        return points + self._corner


def covering(image: Image, size: Size) -> Image:
    """The middle of a picture, as much of it as has the shape of ``size``, at that size."""
    height, width = image.shape[:2]
    scale = max(size[0] / width, size[1] / height)
    inner_width, inner_height = max(1, round(size[0] / scale)), max(1, round(size[1] / scale))
    x, y = (width - inner_width) // 2, (height - inner_height) // 2
    part = image[y : y + inner_height, x : x + inner_width]
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(part, size, interpolation=how), np.uint8)


def _edge(side: int) -> Floats:
    """1 in the middle, 0 at the left and right edge (side,)."""
    at = np.arange(side, dtype=np.float32) + 0.5
    return np.clip(np.minimum(at, side - at) / np.float32(EDGE * side), 0, 1)
