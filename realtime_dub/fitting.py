"""Pictures of any size brought to one: scaled without distortion, bars where the shape differs."""

from __future__ import annotations

import cv2
import numpy as np

from realtime_dub.media import BLACK, Colour, Image

Size = tuple[int, int]  # width, height


class Fit:
    """Brings the pictures of one source to the size of the first.

    ``scene`` counts the changes of size, and of ``shape`` where the caller knows more of it than the size: the next
    picture is another scene then (see ``media.Frame``).
    """

    def __init__(self, background: Colour = BLACK) -> None:
        self._background = background
        self._size: Size | None = None
        self._last: tuple[Size, object] | None = None
        self.scene = 0

    def __call__(self, image: Image, shape: object = None) -> Image:
        size = (image.shape[1], image.shape[0])
        self._size = self._size or size
        self.scene += self._last is not None and self._last != (size, shape)
        self._last = (size, shape)
        return image if size == self._size else fitted(image, self._size, self._background)


def fitted(image: Image, size: Size, background: Colour = BLACK) -> Image:
    """A picture brought to exactly ``size``: scaled without distortion, in the middle, bars around it."""
    width, height = size
    rows, columns = image.shape[:2]
    scale = min(width / columns, height / rows)
    inner = max(1, min(width, round(columns * scale))), max(1, min(height, round(rows * scale)))
    if (columns, rows) != inner:
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        image = np.asarray(cv2.resize(image, inner, interpolation=how), np.uint8)
    if inner == size:
        return np.ascontiguousarray(image)
    canvas = np.full((height, width, 3), background, np.uint8)
    x, y = (width - inner[0]) // 2, (height - inner[1]) // 2
    canvas[y : y + inner[1], x : x + inner[0]] = image
    return canvas


def shrunk(image: Image, size: Size) -> Image:
    """A picture at a smaller ``size``, stretched where the shape differs.

    Halved as often as that goes, which takes a fraction of OpenCV's general mean over areas, and is as smooth.
    """
    width, height = size
    while image.shape[1] >= 2 * width and image.shape[0] >= 2 * height:
        half = image.shape[1] // 2, image.shape[0] // 2
        how = cv2.INTER_AREA if image.shape[1] % 2 == image.shape[0] % 2 == 0 else cv2.INTER_LINEAR
        image = np.asarray(cv2.resize(image, half, interpolation=how), np.uint8)
    if image.shape[1::-1] == size:
        return image
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_LINEAR), np.uint8)
