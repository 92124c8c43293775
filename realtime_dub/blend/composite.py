"""Puts a mouth patch into a frame: re-posed where the head has moved on, feathered in and out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from realtime_dub.blend.masks import bounding_box
from realtime_dub.blend.patch import MouthPatch, WholeFrame
from realtime_dub.face.alignment import TEMPLATE, project
from realtime_dub.face.landmarks import CHIN, CORNERS, NOSE_BASE
from realtime_dub.face.types import Pose, TrackedFrame
from realtime_dub.fitting import fitted
from realtime_dub.media import Box, Image, Part

# The plane of the mouth: these points fix how a patch moves with the head.
_PLANE = TEMPLATE[[*CORNERS, CHIN, NOSE_BASE]]
_NO_MASK: Any = None  # of which OpenCV's types do not know


@dataclass(frozen=True, slots=True)
class Reads:
    """What of an image somebody reads: where a mouth is put, the box ``also``, and ``beside`` pixels around both."""

    beside: int
    also: Box | None = None

    def parts(self, box: Box) -> Sequence[Part]:
        """For a mouth in ``box``: parts of which none has a pixel of another."""
        parts = [_around(each, self.beside) for each in (box, self.also) if each is not None]
        return parts if len(parts) == 1 or _apart(*parts) else [_both(*parts)]


def _around(box: Box, beside: int) -> Part:
    x, y, width, height = box
    return slice(max(0, y - beside), y + height + beside), slice(max(0, x - beside), x + width + beside)


def _apart(one: Part, other: Part) -> bool:
    return any(a.stop <= b.start or b.stop <= a.start for a, b in zip(one, other, strict=True))


def _both(one: Part, other: Part) -> Part:
    rows, columns = (slice(min(a.start, b.start), max(a.stop, b.stop)) for a, b in zip(one, other, strict=True))
    return rows, columns


class Compositor:
    """Composes pictures of one stream."""

    def compose(
        self, tracked: TrackedFrame, patch: MouthPatch | WholeFrame, weight: float, reads: Reads | None = None
    ) -> Image:
        """A new image: the frame's own with ``patch`` over it, ``weight`` 0..1 of its opacity.

        Where a patch's alpha is zero, pixels are the frame's, to the bit. Without a face there is no place for a
        patch: the frame's own image comes back. A whole frame is shown without one.

        ``reads``: no more of the new image is set, the rest is left to chance. None: all of it is.
        """
        if weight <= 0:
            return tracked.frame.image
        if isinstance(patch, WholeFrame):
            return replaced(tracked.frame.image, patch.image, weight)
        if tracked.face is None:
            return tracked.frame.image
        if tracked.face.pose is not patch.pose:
            moved = repose(patch, tracked.face.pose, tracked.frame.width, tracked.frame.height)
            if moved is None:
                return tracked.frame.image
            patch = moved
        out = _copied(tracked.frame.image, patch.box, reads)
        paste(out, patch, weight)
        return out


def _copied(image: Image, box: Box, reads: Reads | None) -> Image:
    """NumPy's copy would stop all of Python."""
    if reads is None:
        return np.asarray(cv2.copyTo(image, _NO_MASK), np.uint8)
    out = np.empty_like(image)
    for part in reads.parts(box):
        cv2.copyTo(image[part], _NO_MASK, out[part])
    return out


def shows(patch: MouthPatch | WholeFrame | None, tracked: TrackedFrame) -> bool:
    """Whether something of ``patch`` is to be seen on this frame."""
    return isinstance(patch, WholeFrame) or (patch is not None and tracked.face is not None)


def replaced(live: Image, other: Image, weight: float) -> Image:
    """``other`` at the size of ``live``, faded into it where ``weight`` is below 1."""
    whole = fitted(other, (live.shape[1], live.shape[0]))
    if weight >= 1:
        return whole
    return np.asarray(cv2.addWeighted(live, 1 - weight, whole, weight, 0), np.uint8)


def paste(out: Image, patch: MouthPatch, weight: float) -> None:
    """Blend ``patch`` into ``out`` in place, exact where alpha is 0 or (at full weight) 255."""
    x, y, width, height = patch.box
    region, alpha = out[y : y + height, x : x + width], patch.alpha
    if weight < 1:
        alpha = ((alpha.astype(np.uint16) * np.uint16(round(256 * weight))) >> 8).astype(np.uint8)
    # alpha * difference / 255 is never half way between two levels: to nearest, and exact for alpha 0 and 255.
    below = region.astype(np.int16)
    change = patch.image.astype(np.int16)
    change -= below
    cv2.multiply(change, cv2.cvtColor(alpha, cv2.COLOR_GRAY2BGR).astype(np.int16), dst=change, scale=1 / 255)
    change += below
    region[:] = change


def repose(patch: MouthPatch, pose: Pose, width: int, height: int) -> MouthPatch | None:
    """The patch carried over to another pose of the head; None where nothing of it is left inside the frame."""
    matrix = pose_change(patch.pose, pose)
    box = _carried(patch.box, matrix, width, height)
    if not box[2] or not box[3]:
        return None
    x, y = patch.box[:2]
    local = matrix.copy()
    local[:, 2] += matrix[:, :2] @ (x, y) - np.array(box[:2])
    size = (box[2], box[3])
    image = cv2.warpAffine(patch.image, local, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    alpha = cv2.warpAffine(patch.alpha, local, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    return replace(patch, image=np.asarray(image, np.uint8), alpha=np.asarray(alpha, np.uint8), box=box, pose=pose)


def box_on(tracked: TrackedFrame, patch: MouthPatch) -> Box:
    """The part of the frame that composing ``patch`` may change; may be empty."""
    if tracked.face is None or tracked.face.pose is patch.pose:
        return patch.box if tracked.face is not None else (0, 0, 0, 0)
    matrix = pose_change(patch.pose, tracked.face.pose)
    return _carried(patch.box, matrix, tracked.frame.width, tracked.frame.height)


def _carried(box: Box, matrix: npt.NDArray[np.float64], width: int, height: int) -> Box:
    x, y, w, h = box
    corners = np.array([[x, y], [x + w, y], [x, y + h], [x + w, y + h]], np.float64)
    return bounding_box(corners @ matrix[:, :2].T + matrix[:, 2], 0, width, height)


def pose_change(before: Pose, after: Pose) -> npt.NDArray[np.float64]:
    """The affine map (2, 3) of the picture plane that carries the mouth from one pose to another."""
    old, new = (project(_PLANE, pose)[:, :2].astype(np.float64) for pose in (before, after))
    system = np.concatenate([old, np.ones((len(old), 1))], 1)
    return np.asarray(np.linalg.lstsq(system, new, rcond=None)[0].T, np.float64)
