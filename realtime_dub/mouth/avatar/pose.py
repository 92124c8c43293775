"""What an avatar does at one instant: the face in template units, and where the head is."""

from __future__ import annotations

from dataclasses import dataclass

from realtime_dub.face.types import Points, Pose

__all__ = ["AvatarPose"]


@dataclass(frozen=True, slots=True, eq=False)
class AvatarPose:
    """Of one frame: ``scale * canonical @ rotation.T + shift`` is in pixels of the recording."""

    canonical: Points  # (478, 3), template units: the whole face, mouth and eyelids as they are at this instant
    pose: Pose  # of the head
