"""Whether what a bank tells of a person's face can be a face: finite, of plausible size, the right way round.

Wide bounds: everybody's face is well inside. What is outside would be drawn as nonsense, or divide by nothing.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from realtime_dub.face.alignment import TEMPLATE, mouth_width
from realtime_dub.face.landmarks import CORNERS, LIPS_INNER, LIPS_OUTER
from realtime_dub.face.types import Points
from realtime_dub.media import Image

LEAST_WIDTH, MOST_WIDTH = 0.3, 3.0  # of a mouth, in units of the canonical face
APART, APART_MEAN = 1.5, 0.5  # from the mean face: any point, and all of them; people differ by a third of it
LEAST_HEIGHT = 0.02  # of the lips, mouth widths
MOST_SHAPE = 2.0  # mouth widths from the lips' centre at rest
MOST_WIDE = 2.0  # mouth widths that anybody opens the mouth by
LEAST_LIPS = 4.0  # pixels, of a mouth's width in its picture
MOST_NAME = 200  # letters of a net's
MOST_DESCRIPTOR = 100.0  # of a face's descriptor, which is whitened

Array = npt.NDArray[np.generic]
_UPPER, _LOWER = LIPS_OUTER[5], LIPS_OUTER[15]
_OUTER = len(LIPS_OUTER)
_TOP, _BOTTOM = 5, 15  # the middles of the outer lips among a mouth's points
_LEFT, _RIGHT = 0, 10  # and their corners


def numbers(array: Array, shape: tuple[int, ...], most: float) -> npt.NDArray[np.float32]:
    """Raises ValueError unless the array has that shape and holds real numbers up to ``most``."""
    if array.shape != shape or array.dtype.kind not in "uif":
        raise ValueError("an array has the wrong shape or holds no numbers")
    if not (np.abs(array) <= most).all():  # nor may any be no number
        raise ValueError("an array has values beyond any face's")
    return array.astype(np.float32)


def names(arrays: np.lib.npyio.NpzFile, part: str, most: int) -> list[str]:
    """Of the nets that a bank knows something for, in ``part`` and a number each. Raises ValueError."""
    count = sum(name.startswith(part) and name[len(part) :].isdigit() for name in arrays.files)
    if count > most:
        raise ValueError(f"{count} ways of talking are more than a bank has")
    stored = [arrays[f"{part}{i}"] for i in range(count)]
    if any(net.ndim != 1 or net.dtype != np.uint8 or len(net) > MOST_NAME for net in stored):
        raise ValueError("a way of talking has no name")
    return [net.tobytes().decode() for net in stored]


def face(array: Array) -> Points:
    """A canonical face (478, 3). Raises ValueError."""
    shape = numbers(array, TEMPLATE.shape, 100.0)
    if not LEAST_WIDTH < mouth_width(shape) < MOST_WIDTH:
        raise ValueError("a face has no mouth")
    apart = np.abs(shape - TEMPLATE)
    across = shape[CORNERS[1], 0] - shape[CORNERS[0], 0]
    inside = shape[LIPS_INNER[10], 0] - shape[LIPS_INNER[0], 0]
    height = shape[_LOWER, 1] - shape[_UPPER, 1]
    if apart.max() > APART or apart.mean() > APART_MEAN or min(across, inside) < LEAST_WIDTH / 2 or height <= 0:
        raise ValueError("a face is impossible")
    return shape


def lips(array: Array, image: Image) -> npt.NDArray[np.float32]:
    """Where a picture's lips are (40, 2), pixels: most of them in it, none far outside. Raises ValueError."""
    high, wide = image.shape[:2]
    points = numbers(array, (40, 2), 10_000.0)
    size = np.array([wide, high], np.float32)
    inside = ((points >= -1) & (points <= size)).all(1)
    if inside.mean() < 0.5 or (points < -size).any() or (points > 2 * size).any():
        raise ValueError("a mouth's lips are outside its image")
    if np.ptp(points[:, 0]) < LEAST_LIPS or np.ptp(points[:, 1]) < LEAST_LIPS / 10:
        raise ValueError("a mouth has no lips")
    return points


def lip_shape(array: Array) -> npt.NDArray[np.float32]:
    """A mouth's lips (40, 3) in mouth widths. Raises ValueError."""
    shape = numbers(array, (40, 3), MOST_SHAPE)
    across, height = shape[_RIGHT, 0] - shape[_LEFT, 0], shape[_BOTTOM, 1] - shape[_TOP, 1]
    inside = shape[_OUTER + _RIGHT, 0] - shape[_OUTER + _LEFT, 0]
    if min(across, inside) < LEAST_WIDTH / 2 or height < LEAST_HEIGHT:
        raise ValueError("a mouth has no lips")
    return shape


def directions(array: Array, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """Direction cosines. Raises ValueError."""
    return numbers(array, shape, 1.001)
