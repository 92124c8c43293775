"""MediaPipe's models of a whole person: what of a picture is them, and where their shoulders, hips and hands are.

Beside ``models.py`` the one module that knows MediaPipe. Both models come in its wheel; nothing is fetched.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from realtime_dub.imports import NOT_FOR_MEDIAPIPE, left_out
from realtime_dub.media import Image
from realtime_dub.quiet import quiet

with left_out(*NOT_FOR_MEDIAPIPE):
    from mediapipe.python.solutions.pose import Pose
    from mediapipe.python.solutions.selfie_segmentation import SelfieSegmentation

_NOBODY = np.zeros((64, 64, 3), np.uint8)
# Of the model's 33 points; it calls left what is the person's left, which is on the right of the picture.
SHOULDERS_AND_HIPS = (12, 11, 24, 23)
HANDS = (16, 15, 20, 19)  # wrists and fingers, left and right of the picture
WITHIN_A_WHOLE_MODEL = 1  # its complexity: the one that the wheel carries


@dataclass(frozen=True, slots=True, eq=False)
class Figure:
    """A person's joints. Sureness is the model's own, 0..1, that a point is to be seen."""

    body: npt.NDArray[np.float32]  # (4, 2) shoulders and hips, each left and right in the picture, pixels
    body_sure: npt.NDArray[np.float32]  # (4,)
    hands: npt.NDArray[np.float32]  # (4, 2) wrists and fingers, pixels
    hands_sure: npt.NDArray[np.float32]  # (4,)


class Matter:
    """Says of each pixel how much of it is a person. One recording each: it steadies itself over time."""

    def __init__(self) -> None:
        with quiet():
            self._model: SelfieSegmentation | None = SelfieSegmentation(model_selection=0)
            self._model.process(_NOBODY)

    def find(self, image: Image) -> npt.NDArray[np.float32]:
        """The shares (height, width), 0..1, of a picture (height, width, 3) BGR."""
        assert self._model is not None
        found = self._model.process(cv2.cvtColor(image, cv2.COLOR_BGR2RGB)).segmentation_mask
        return np.clip(np.asarray(found, np.float32), 0, 1)

    def close(self) -> None:
        """Release the model. Idempotent."""
        _close(self._model)
        self._model = None


class Joints:
    """Finds the joints of the one person in the pictures of a recording, in their order."""

    def __init__(self) -> None:
        with quiet():
            self._model: Pose | None = Pose(model_complexity=WITHIN_A_WHOLE_MODEL)
            self._model.process(_NOBODY)

    def find(self, image: Image) -> Figure | None:
        """None where nobody is seen."""
        assert self._model is not None
        with quiet():
            found = self._model.process(cv2.cvtColor(image, cv2.COLOR_BGR2RGB)).pose_landmarks
        if found is None:
            return None
        height, width = image.shape[:2]
        rows = [found.landmark[index] for index in (*SHOULDERS_AND_HIPS, *HANDS)]
        places = np.array([(row.x * width, row.y * height) for row in rows], np.float32)
        sure = np.array([row.visibility for row in rows], np.float32)
        return Figure(places[:4], sure[:4], places[4:], sure[4:])

    def close(self) -> None:
        """Release the model. Idempotent."""
        _close(self._model)
        self._model = None


def _close(model: Any) -> None:
    if model is not None:
        model.close()
