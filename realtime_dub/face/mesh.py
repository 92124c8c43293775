"""MediaPipe's face mesh: landmarks of the faces in a picture, or in a part of it."""

from __future__ import annotations

import contextlib

import cv2
import numpy as np

from realtime_dub.face.quiet import quiet
from realtime_dub.face.search import Area
from realtime_dub.face.types import Points
from realtime_dub.imports import NOT_FOR_MEDIAPIPE, left_out
from realtime_dub.media import Image

with left_out(*NOT_FOR_MEDIAPIPE):
    from mediapipe.python.solutions.face_mesh import FaceMesh

NOISY_FRAMES = 2  # MediaPipe logs while it starts its detector, then its landmark model
MAX_SIDE_PX = 1280  # larger pictures are made smaller first: the landmark model looks at 192 pixels of a face anyway


class Mesh:
    """Looks where faces were in the last picture, and for others."""

    def __init__(self, most: int) -> None:
        with quiet():
            self._mesh: FaceMesh | None = FaceMesh(static_image_mode=False, max_num_faces=most, refine_landmarks=True)
            self._mesh.process(np.zeros((64, 64, 3), np.uint8))  # loads the models now, not in the first frame
        self._found_before = 0
        self._rgb: Image | None = None

    def find(self, image: Image, area: Area | None = None) -> list[Points]:
        """The faces in ``image``, or in that ``area`` of it; each (478, 3), pixels of the whole."""
        if self._mesh is None:
            return []
        part = image if area is None else area.of(image)
        height, width = part.shape[:2]
        with quiet() if self._found_before < NOISY_FRAMES else contextlib.nullcontext():
            found = self._mesh.process(self._prepared(part)).multi_face_landmarks or ()
        self._found_before += bool(found)
        # MediaPipe gives shares of the picture's size, z in units of its width.
        scale = np.array([width, height, width], np.float32)
        corner = np.array([0, 0, 0] if area is None else [area.x, area.y, 0], np.float32)
        return [np.array([(p.x, p.y, p.z) for p in face.landmark], np.float32) * scale + corner for face in found]

    def close(self) -> None:
        """Release the model."""
        if self._mesh is not None:
            self._mesh.close()
            self._mesh = None

    def _prepared(self, image: Image) -> Image:
        """In RGB and not too large; the array is used again for the next picture."""
        if max(image.shape) > MAX_SIDE_PX:
            factor = MAX_SIDE_PX / max(image.shape)
            size = (max(1, round(image.shape[1] * factor)), max(1, round(image.shape[0] * factor)))
            image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
        if self._rgb is None or self._rgb.shape != image.shape:
            self._rgb = np.empty(image.shape, np.uint8)
        cv2.cvtColor(image, cv2.COLOR_BGR2RGB, dst=self._rgb)
        return self._rgb
