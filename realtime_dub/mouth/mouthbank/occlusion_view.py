"""What the net that finds occluders is shown: a square around the mouth, and where the face and the lips should be."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from realtime_dub.blend.masks import Mask, bounding_box, dilated, lower_face, polygon
from realtime_dub.face.crop import Crop, crop_about
from realtime_dub.face.landmarks import LIPS_OUTER
from realtime_dub.face.types import Face, Points
from realtime_dub.fitting import shrunk
from realtime_dub.media import Image

SIZE = 96  # pixels a side
SIDE = 3.0  # template units: the lower face, and a little more, for what covers it comes from beside it
CENTRE = (0.0, 1.95, -0.2)  # between mouth and chin
LIP_ROOM = 0.12  # mouth widths of skin that count as the mouth
_FINEST = 2.0  # pixels of the frame for one of the crop: where there are more, the frame is made smaller first


def view_of(face: Face) -> Crop:
    """The square that is shown."""
    return crop_about(face.pose, SIZE, SIDE, CENTRE)


def taken(image: Image, crop: Crop) -> Image:
    """The crop (size, size, 3), without the false patterns of a large face that is sampled coarsely."""
    finer = int(1 / np.hypot(*crop.matrix[0, :2]) / _FINEST)
    if finer < 2:
        return crop.take(image)
    finer = 1 << (finer.bit_length() - 1)  # halving is quick
    x, y, width, height = bounding_box(crop.corners(), finer, image.shape[1], image.shape[0])
    size = width // finer, height // finer
    if min(size) < 1:
        return crop.take(image)
    small = shrunk(image[y : y + height, x : x + width], size)
    # Pixel centres: those of the small image lie at (i + 0.5) * scale - 0.5 of the large one.
    scale = np.array([width / size[0], height / size[1]])
    matrix = crop.matrix.copy()
    matrix[:, 2] += crop.matrix[:, :2] @ (np.array([x, y]) + 0.5 * scale - 0.5)
    matrix[:, :2] *= scale
    return Crop(matrix, crop.size).take(small)


def outlines(points: Points, unit: float, crop: Crop) -> tuple[Mask, Mask]:
    """The lower face and the mouth as masks (size, size) of the crop; ``unit`` is a mouth width in the frame."""
    box = (0, 0, crop.size, crop.size)
    lips = dilated(points[LIPS_OUTER, :2].astype(np.float64), LIP_ROOM * unit)
    face, mouth = (
        polygon(outline @ crop.matrix[:, :2].T + crop.matrix[:, 2], box) for outline in (lower_face(points, unit), lips)
    )
    return face, mouth


def feeds(image: Image, face: Mask, mouth: Mask) -> dict[str, npt.NDArray[np.float32]]:
    """The net's inputs for a crop."""
    return {"image": scaled(image.transpose(2, 0, 1)), "drawing": scaled(np.stack([face, mouth]))}


def scaled(levels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Levels (channels, height, width) as a net's input (1, channels, height, width), 0..1."""
    shares = np.empty((1, *levels.shape), np.float32)
    np.multiply(levels, np.float32(1 / 255), out=shares[0])
    return shares
