"""The scheme of 68 face landmarks that most data sets and many networks use, as points of the face mesh.

Its order: the jaw from the left ear over the chin to the right one (17), eyebrows (10), nose (9), eyes (12), the lips'
outer outline (12) and inner one (8), each from the left corner along the top. Left and right are the picture's.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from realtime_dub.face.types import Points

JAW = np.array([127, 234, 93, 132, 58, 136, 149, 148, 152, 377, 378, 365, 288, 361, 323, 454, 356])
BROWS = np.array([70, 63, 105, 66, 107, 336, 296, 334, 293, 300])
NOSE = np.array([168, 197, 5, 4, 98, 97, 2, 326, 327])
EYES = np.array([33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380])
OUTER = np.array([61, 40, 37, 0, 267, 270, 291, 321, 314, 17, 84, 91])
INNER = np.array([78, 81, 13, 311, 308, 402, 14, 178])

AROUND = np.concatenate([JAW, BROWS, NOSE, EYES])  # the 48 that are no mouth
MOUTH = np.concatenate([OUTER, INNER])  # the other 20
SCHEME68 = np.concatenate([AROUND, MOUTH])
# Of the mouth's 20, those that lie above each other: outer lips, then inner ones.
UPPER = np.array([1, 2, 3, 4, 5, 13, 14, 15])
LOWER_OF_UPPER = np.array([11, 10, 9, 8, 7, 19, 18, 17])
# Lines between points of the scheme, each a row and whether it is closed: how a face is drawn.
LINES: tuple[tuple[range, bool], ...] = (
    (range(17), False),
    (range(17, 22), False),
    (range(22, 27), False),
    (range(27, 31), False),
    (range(31, 36), False),
    (range(36, 42), True),
    (range(42, 48), True),
    (range(48, 60), True),
    (range(60, 68), True),
)


def scheme68(mesh: Points) -> Points:
    """The landmarks (..., 68, k) of face meshes (..., 478, k)."""
    return np.asarray(mesh[..., SCHEME68, :], np.float32)


def openness(mouth: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """How far mouths (..., 20, 2 or more) stand open (...,): the mean of their eight pairs, in their own units."""
    apart = mouth[..., LOWER_OF_UPPER, :2] - mouth[..., UPPER, :2]
    return np.asarray(np.linalg.norm(apart, axis=-1).mean(-1), np.float32)
