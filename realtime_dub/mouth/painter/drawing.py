"""A painted face laid into the frame: in the light that is there, inside the lower face alone, with a soft edge."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt

from realtime_dub.blend.colour import add, rim_shift
from realtime_dub.blend.crops import patch_of
from realtime_dub.blend.masks import lower_face, polygon
from realtime_dub.blend.patch import MouthPatch
from realtime_dub.face.crop import Crop
from realtime_dub.face.landmarks import LIPS
from realtime_dub.face.types import Face, TrackedFrame
from realtime_dub.media import Image

SOFT = 0.16  # mouth widths of edge: what is painted has less detail than what is around it
RIM = 0.06  # of the crop, on which colours are compared
FOLLOWS = 0.3  # of a new difference in colour: light does not flicker


class ColourMatch:
    """Moves what is painted to the colour of the skin around it. One person's; not thread-safe."""

    def __init__(self) -> None:
        self._shift: npt.NDArray[np.float32] | None = None
        self._shot = 0

    def __call__(self, tracked: TrackedFrame, face: Face, crop: Crop, live: Image, painted: Image) -> Image:
        """``live``, ``painted``: the crop as it is, and as the network has it."""
        found = rim_shift(live, painted, rim_of(face, crop))
        if self._shift is None or tracked.shot != self._shot:
            self._shift, self._shot = found, tracked.shot
        self._shift = self._shift + np.float32(FOLLOWS) * (found - self._shift)
        return add(painted, self._shift)


def rim_of(face: Face, crop: Crop) -> npt.NDArray[np.bool_]:
    """Skin at the upper and outer edge of the lower face, in the crop: words do not move it."""
    outline = lower_face(face.points, face.pose.scale) @ crop.matrix[:, :2].T + crop.matrix[:, 2]
    whole = polygon(outline, (0, 0, crop.size, crop.size))
    width = max(1, round(RIM * crop.size))
    inner = np.asarray(cv2.erode(whole, np.ones((3, 3), np.uint8), iterations=width), np.uint8)
    rim = (whole > 127) & (inner < 128)
    lips = face.points[LIPS, :2].astype(np.float64).mean(0) @ crop.matrix[:, :2].T + crop.matrix[:, 2]
    rim[max(0, round(float(lips[1]))) :] = False
    return rim


def drawn(
    tracked: TrackedFrame, crop: Crop, painted: Image, at_ns: int, weight: float, carried: bool = False
) -> MouthPatch | None:
    """The patch, at ``weight`` 0..1 of its opacity; ``carried``: no mouth was painted for it."""
    patch = patch_of(tracked, crop, painted, at_ns, SOFT)
    if patch is None:
        return None
    alpha = patch.alpha if weight >= 1 else np.rint(patch.alpha * weight).astype(np.uint8)
    return replace(patch, alpha=alpha, carried=carried)
