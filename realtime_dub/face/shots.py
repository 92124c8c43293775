"""Where the face in the picture may have become another one: a cut, a fade, a face that was gone for a while.

A shot is a stretch in which one face is followed without a break. Shots are begun freely: a new one only means that
whoever knows faces should look again before relying on this being the same person.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import cv2
import numpy as np

from realtime_dub.face.descriptor import skin
from realtime_dub.face.gallery import apart, view
from realtime_dub.face.types import Face
from realtime_dub.media import MS, Floats, Frame, Image

CUT = 0.07  # mean change of a thumbnail, relative to its mean, from one frame to the next
CHANGED = 0.045  # the same over MEMORY_NS: the scene is another, or much has moved in it
SKIN_CHANGED = 0.12  # relative change of the skin's colour over MEMORY_NS
JUMP = 1.5  # distance of descriptors over MEMORY_NS
MEMORY_NS = 400 * MS
_THUMBNAIL = (32, 24)


@dataclass(frozen=True, slots=True, eq=False)
class _Look:
    at_ns: int
    scene: Floats
    descriptor: Floats
    seen_from: Floats
    skin: Floats


class Shots:
    """Counts the shots of one stream. ``number`` is that of the frame at hand."""

    def __init__(self) -> None:
        self.number = 0
        self._scene: Floats | None = None
        self._past: deque[_Look] = deque()
        self._fresh = True  # nobody was followed in this shot yet

    def cut(self, frame: Frame) -> bool:
        """Whether the picture is another one than the frame before. Called for every frame, first."""
        before, self._scene = self._scene, thumbnail(frame.image)
        if before is None or change(before, self._scene) <= CUT:
            return False
        self.broken()
        return True

    def broken(self) -> None:
        """The face is lost, or another one is followed: what comes next is a new shot."""
        self._past.clear()
        if not self._fresh:
            self.number += 1
            self._fresh = True

    def follow(self, frame: Frame, face: Face, crop: Image) -> int:
        """The number of the shot that this frame, with the face that is followed in it, belongs to."""
        assert self._scene is not None
        assert face.descriptor is not None
        look = _Look(frame.pts_ns, self._scene, face.descriptor, view(face).copy(), skin(crop))
        while self._past and not 0 < look.at_ns - self._past[0].at_ns <= MEMORY_NS:
            self._past.popleft()
        if self._past and _another(self._past[0], look):
            self.broken()
        self._past.append(look)
        self._fresh = False
        return self.number


def thumbnail(image: Image) -> Floats:
    """The picture (24, 32) with the exposure taken out."""
    step = max(1, min(image.shape[0] // (4 * _THUMBNAIL[1]), image.shape[1] // (4 * _THUMBNAIL[0])))
    small = cv2.resize(image[::step, ::step, 1], _THUMBNAIL, interpolation=cv2.INTER_AREA).astype(np.float32)
    return np.asarray(small / (cv2.mean(small)[0] + 2), np.float32)


def change(before: Floats, after: Floats) -> float:
    """Mean difference of two thumbnails."""
    return cv2.norm(after, before, cv2.NORM_L1) / after.size


def _another(before: _Look, after: _Look) -> bool:
    """The face has become quite another, and so has the skin or the scene: no turn of the head, no glasses."""
    jump = apart(before.descriptor[None], before.seen_from[None], after.descriptor, after.seen_from)[0]
    if jump < JUMP:
        return False
    skin_change = float((np.abs(after.skin - before.skin) / (before.skin + 2)).max())
    return skin_change > SKIN_CHANGED or change(before.scene, after.scene) > CHANGED
