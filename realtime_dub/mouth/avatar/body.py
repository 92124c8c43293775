"""Where shoulders and hips are, predicted from the head: a ridge regression that was fitted to the recording.

As in the published pipeline (motion-gan-pipeline), where a head that moves takes the body with it.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from realtime_dub.face.types import Pose
from realtime_dub.media import Floats

POINTS = 4  # shoulders, then hips, each left and right in the picture
FEATURES = 6


@dataclass(frozen=True, slots=True, eq=False)
class Body:
    """What :func:`features` of a head are multiplied with: ``(features - mean) @ weights + middle``."""

    mean: Floats  # (FEATURES,)
    weights: Floats  # (FEATURES, 2 * POINTS)
    middle: Floats  # (2 * POINTS,) pixels of the recording

    def places(self, pose: Pose) -> npt.NDArray[np.float32]:
        """Shoulders and hips (POINTS, 2) of a head, pixels of the recording."""
        found = (features(pose) - self.mean) @ self.weights + self.middle
        return np.asarray(found.reshape(POINTS, 2), np.float32)


def features(pose: Pose) -> Floats:
    """Of a head (FEATURES,): place and size in pixels, turn as a rotation vector, radians."""
    turn, _ = cv2.Rodrigues(pose.rotation.astype(np.float64))
    return np.array([pose.shift[0], pose.shift[1], pose.scale, *turn[:, 0]], np.float32)
