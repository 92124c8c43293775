"""Names for points of MediaPipe's face mesh (478 with irises). Left and right are the picture's, not the person's."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

# The lips' two outlines, each from the left corner along the upper lip to the right corner and back along the lower.
LIPS_OUTER = np.array([61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291, 375, 321, 405, 314, 17, 84, 181, 91, 146])
LIPS_INNER = np.array([78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308, 324, 318, 402, 317, 14, 87, 178, 88, 95])
LIPS = np.concatenate([LIPS_OUTER, LIPS_INNER])
CORNERS = (61, 291)
# The 20 points of the mouth that landmark files of 68 points have (48 to 67): twelve of the outer outline, eight inner.
SPARSE_LIPS = np.array([61, 40, 37, 0, 267, 270, 291, 321, 314, 17, 84, 91, 78, 81, 13, 311, 308, 402, 14, 178])

# Pairs (upper, lower) of the inner outline that lie above each other: their distance is the opening of the lips.
OPENING = np.array([[81, 178], [82, 87], [13, 14], [312, 317], [311, 402]])

# The jaw's contour from below the left ear over the chin (152) to below the right ear.
JAW = np.array([132, 58, 172, 136, 150, 149, 176, 148, 152, 377, 400, 378, 379, 365, 397, 288, 361])
CHIN = 152
NOSE_BASE = 2

# Points that speech hardly moves: eye corners, forehead, bridge and tip of the nose, temples. The head's pose is fitted
# to these alone, so that no mouth movement is taken for a movement of the head.
STABLE = np.array([33, 133, 362, 263, 10, 109, 338, 151, 9, 8, 168, 6, 197, 195, 5, 4, 127, 356, 21, 251, 107, 336])


def mean(values: npt.NDArray[np.float32], axis: int = 0) -> npt.NDArray[np.float32]:
    """NumPy's mean of real numbers, to the bit; of a few of them that takes four times as long."""
    return np.asarray(np.add.reduce(values, axis) / np.float32(values.shape[axis]))


def mean_lip_opening(canonical: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Lip opening (...,) of shapes (..., 478, 3): mean distance of the inner lips over the middle five pairs."""
    return mean_apart(canonical[..., OPENING[:, 0], :], canonical[..., OPENING[:, 1], :])


def mean_apart(upper: npt.NDArray[np.float32], lower: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The mean distance (...,) of points (..., n, 3) from others."""
    gaps = upper - lower
    apart = np.sqrt(np.add.reduce(gaps * gaps, -1))  # asked for often: np.linalg.norm and mean take twice the time
    return mean(apart, -1)
