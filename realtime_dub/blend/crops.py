"""A painted crop as a patch: laid back into the frame, where the lower face is."""

from __future__ import annotations

import cv2
import numpy as np

from realtime_dub.blend.masks import bounding_box, feather, lower_face, polygon
from realtime_dub.blend.patch import MouthPatch
from realtime_dub.face.crop import Crop
from realtime_dub.face.types import TrackedFrame
from realtime_dub.media import Image

FEATHER = 0.08  # mouth widths
ROOM = 2.0  # pixels beyond a width of the edge, which reaches half a width outside the outline: less is less to draw


def patch_of(tracked: TrackedFrame, crop: Crop, painted: Image, at_ns: int, soft: float = FEATHER) -> MouthPatch | None:
    """``painted`` (crop.size, crop.size, 3) BGR over the face's lower part; None where that lies outside the frame.

    Nothing but the lower face is touched, and nothing outside the crop. ``soft``: width of the edge, mouth widths.
    """
    face = tracked.face
    if face is None:
        return None
    unit = face.pose.scale
    outline = lower_face(face.points, unit)
    box = bounding_box(outline, soft * unit + ROOM, tracked.frame.width, tracked.frame.height)
    if not box[2] or not box[3]:
        return None
    matrix = crop.back
    matrix[:, 2] -= box[:2]
    size = box[2], box[3]
    image = cv2.warpAffine(painted, matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    inside = cv2.warpAffine(np.full(painted.shape[:2], 255, np.uint8), matrix, size, flags=cv2.INTER_LINEAR)
    mask = np.minimum(polygon(outline, box), np.asarray(inside, np.uint8))
    inner = cv2.erode(mask, np.ones((3, 3), np.uint8), iterations=max(1, round(soft * unit)))
    alpha = feather(np.asarray(inner, np.uint8), soft * unit / 2)
    alpha[[0, -1]] = alpha[:, [0, -1]] = 0
    return MouthPatch(np.asarray(image, np.uint8), alpha, box, face.pose, at_ns, tracked.shot)
