"""Finds, chooses and follows the face to dub: MediaPipe Face Mesh behind the ``FaceTracker`` contract.

The one module that knows MediaPipe, so that it can be exchanged.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence

import cv2
import numpy as np

from realtime_dub.errors import ConfigError
from realtime_dub.face.alignment import canonicalise
from realtime_dub.face.landmarks import JAW, LIPS
from realtime_dub.face.quiet import quiet
from realtime_dub.face.smoothing import OneEuro
from realtime_dub.face.types import Points, TrackedFrame
from realtime_dub.imports import NOT_FOR_MEDIAPIPE, left_out
from realtime_dub.media import Frame, Image
from realtime_dub.paths import is_number

os.environ.setdefault("GLOG_minloglevel", "3")  # must be set before MediaPipe is imported

with left_out(*NOT_FOR_MEDIAPIPE):
    from mediapipe.python.solutions.face_mesh import FaceMesh

MAX_FACES = 4
MAX_YAW_DEG = 40.0  # beyond, half of the mouth is hidden and the mesh guesses
RETURN_YAW_DEG = 36.0  # hysteresis: back in once it is clearly inside
MIN_MOUTH_PX = 8.0  # smaller mouths have no shape to speak of
NOISY_FRAMES = 2  # MediaPipe logs while it starts its detector, then its landmark model
MAX_SIDE_PX = 1280  # larger pictures are made smaller first: the landmark model looks at 192 pixels of a face anyway
REMEMBERED_FRAMES = 25  # a face that comes back where it was is the same one
STICKY_SHARE = 0.6  # a face is the same one if it moved by less than this share of its width
CHOICES = ("largest", "left", "right")


class MediaPipeTracker:
    """Follows one face. ``choice`` is ``largest``, ``left``, ``right`` or the face's number from the left, from 1.

    The choice is made when a face is first seen and kept until that face is lost: people who walk through do not take
    the mouth over.
    """

    def __init__(self, choice: str = "largest", smooth: bool = True) -> None:
        if choice not in CHOICES and not (is_number(choice) and 1 <= int(choice) <= MAX_FACES):
            raise ConfigError("cannot choose face", repr(choice), f"use {', '.join(CHOICES)} or 1 to {MAX_FACES}")
        self._choice = choice
        with quiet():
            self._mesh: FaceMesh | None = FaceMesh(
                static_image_mode=False, max_num_faces=MAX_FACES, refine_landmarks=True
            )
            self._mesh.process(np.zeros((64, 64, 3), np.uint8))  # loads the models now, not in the first frame
        self._filter = OneEuro(min_cutoff_hz=8.0, beta=12.0) if smooth else None
        self._found_before = 0
        self._lost = 0  # frames since the chosen face was seen
        self._last: Points | None = None
        self._profile = False
        self._scene = 0
        self._rgb: Image | None = None

    def track(self, frame: Frame) -> TrackedFrame:
        """The chosen face in ``frame``, smoothed; without a face that can be dubbed, why."""
        if frame.scene != self._scene:  # where the face was in a picture of another size says nothing
            self._scene, self._lost = frame.scene, REMEMBERED_FRAMES
            self._lose()
        faces = self._find(frame.image)
        points = self._choose(faces)
        if points is None:
            self._lose()
            return TrackedFrame(frame, None, "no face")
        self._last, self._lost = points, 0
        if self._filter is not None:
            points = self._filter(points, frame.pts_ns, unit=float(np.ptp(points[:, 0])) / 3)
        face = canonicalise(points)
        why = self._why_not(face.pose.yaw_deg, face.pose.scale, points, frame)
        return TrackedFrame(frame, None if why else face, why)

    def close(self) -> None:
        """Release the model."""
        if self._mesh is not None:
            self._mesh.close()
            self._mesh = None

    def _lose(self) -> None:
        """Without a face, or at another one, smoothing begins anew; where the face was is remembered for a while."""
        self._profile = False
        if self._filter is not None:
            self._filter.reset()
        self._lost += 1
        if self._lost > REMEMBERED_FRAMES:
            self._last = None

    def _find(self, image: Image) -> list[Points]:
        if self._mesh is None:
            return []
        height, width = image.shape[:2]
        if max(height, width) > MAX_SIDE_PX:
            factor = MAX_SIDE_PX / max(height, width)
            size = (max(1, round(width * factor)), max(1, round(height * factor)))
            image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
        if self._rgb is None or self._rgb.shape != image.shape:
            self._rgb = np.empty_like(image)
        cv2.cvtColor(image, cv2.COLOR_BGR2RGB, dst=self._rgb)
        with quiet() if self._found_before < NOISY_FRAMES else contextlib.nullcontext():
            found = self._mesh.process(self._rgb).multi_face_landmarks or ()
        self._found_before += bool(found)
        # MediaPipe gives shares of the picture's size, z in units of its width.
        scale = np.array([width, height, width], np.float32)
        return [np.array([(p.x, p.y, p.z) for p in face.landmark], np.float32) * scale for face in found]

    def _choose(self, faces: Sequence[Points]) -> Points | None:
        if self._last is not None:
            nearest = min(faces, key=self._distance_to_last, default=None)
            if nearest is not None and self._distance_to_last(nearest) < STICKY_SHARE * np.ptp(self._last[:, 0]):
                return nearest
            if len(faces) != 1:
                return None  # the chosen face is hidden for a moment: nobody else takes its place yet
            self._lose()
        by_x = sorted(faces, key=lambda points: float(points[:, 0].mean()))
        if not by_x:
            return None
        if self._choice == "largest":
            return max(by_x, key=lambda points: float(np.ptp(points[:, 0]) * np.ptp(points[:, 1])))
        if is_number(self._choice):
            number = int(self._choice)
            return by_x[number - 1] if number <= len(by_x) else None
        return by_x[0] if self._choice == "left" else by_x[-1]

    def _distance_to_last(self, points: Points) -> float:
        assert self._last is not None
        return float(np.linalg.norm(points[:, :2].mean(0) - self._last[:, :2].mean(0)))

    def _why_not(self, yaw_deg: float, scale: float, points: Points, frame: Frame) -> str:
        self._profile = abs(yaw_deg) > (RETURN_YAW_DEG if self._profile else MAX_YAW_DEG)
        if self._profile:
            return "profile"
        lips, jaw = points[LIPS], points[JAW]
        outside = lips.min(0)[:2].min() < 1 or (lips.max(0)[:2] > (frame.width - 2, frame.height - 2)).any()
        jaw_outside = float(((jaw[:, 1] > frame.height + scale / 4) | (jaw[:, 0] < -scale / 4)).mean()) > 0.5
        return "outside" if outside or jaw_outside or scale < MIN_MOUTH_PX else ""
