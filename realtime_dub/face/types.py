"""What the tracker knows of a face. Units: pixels of the frame; z in the same unit, towards the camera negative."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol, TypeAlias, runtime_checkable

import numpy as np
import numpy.typing as npt

from realtime_dub.media import Frame

Points: TypeAlias = npt.NDArray[np.float32]  # (n, 3)


@dataclass(frozen=True, slots=True, eq=False)
class Pose:
    """The similarity that takes canonical points to the frame: ``scale * points @ rotation.T + shift``."""

    rotation: npt.NDArray[np.float32]  # (3, 3)
    scale: float  # pixels per mouth width
    shift: npt.NDArray[np.float32]  # (3,)

    @property
    def yaw_deg(self) -> float:
        """Turn of the head to the side, degrees, 0 = towards the camera."""
        across, down, away = self.rotation[:, 0].tolist()
        return math.degrees(math.atan2(-away, math.hypot(across, down)))


@dataclass(frozen=True, slots=True, eq=False)
class Face:
    """One face in one frame."""

    points: Points  # (478, 3) MediaPipe face mesh with irises
    canonical: Points  # (478, 3) the same with the head pose taken out, in mouth widths
    pose: Pose
    descriptor: npt.NDArray[np.float32] | None = None  # (72,) whose it is (face/descriptor.py); None: unknown


@dataclass(frozen=True, slots=True, eq=False)
class TrackedFrame:
    """A frame and the chosen face in it. ``face`` is None where there is none that can be dubbed; ``why`` says so."""

    frame: Frame
    face: Face | None
    why: str = ""  # "", "no face", "profile", "outside"
    shot: int = 0  # counts up where the face may be another person's: after a cut, a fade, a face that was lost


@runtime_checkable
class Describes(Protocol):
    """A tracker that tells whose face it is, too. Where nobody asks, that is work for nothing."""

    describes: bool
    """May be changed at any time. What it was left out of belongs to no shot."""


class FaceTracker(Protocol):
    """Finds and follows the face to dub. Runs on a thread of its own; never raises for what is in the picture."""

    def track(self, frame: Frame) -> TrackedFrame:
        """Frames in order of time, one stream per tracker."""

    def close(self) -> None:
        """Release the model. Idempotent."""
