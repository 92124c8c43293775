"""What the graph of ``compose.py`` is given, recorded while mouths are drawn as the program draws them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from export.compose import SMALLEST
from realtime_dub.blend.colour import grey_of
from realtime_dub.blend.composite import Compositor
from realtime_dub.blend.masks import Mask
from realtime_dub.blend.patch import MouthPatch
from realtime_dub.blend.warp import Box, ThinPlate
from realtime_dub.face.landmarks import LIPS
from realtime_dub.face.types import Face, Points, TrackedFrame
from realtime_dub.media import Image
from realtime_dub.mouth.mouthbank.bank import Mouth
from realtime_dub.mouth.mouthbank.render import GRID, Renderer, lips_of, rim_of, skin_plate
from realtime_dub.mouth.mouthbank.sized import as_fine
from realtime_dub.mouth.mouthbank.tone import lips_colour

Feeds = dict[str, npt.NDArray[Any]]


class Recording(Renderer):
    """Draws as it always does, and keeps what a mouth was drawn of."""

    def __init__(self, *given: Any, **options: Any) -> None:
        super().__init__(*given, **options)
        self.skin: tuple[ThinPlate, Box, float] | None = None
        self.lips: Feeds | None = None

    def feeds(self, tracked: TrackedFrame, patch: MouthPatch) -> Feeds | None:
        """Of the mouth that was drawn last; None where the graph does not draw its kind: without a picture of the bank,
        painted inside, at a working size, or smaller than the pyramid needs.
        """
        skin, lips, image = self.skin, self.lips, tracked.frame.image
        self.skin = self.lips = None
        if skin is None or lips is None or patch.box != skin[1]:
            return None
        plate, (x, y, width, height), unit = skin
        room = round(unit / 2)
        left, top = max(0, x - room), max(0, y - room)
        window = (left, top, min(image.shape[1], x + width + room), min(image.shape[0], y + height + room))
        inner = lips.pop("at") - np.array([x, y, x, y])
        return {
            "frame": image,
            "window": np.array(window, np.int64),
            "box": np.array([x - left, y - top, x - left + width, y - top + height], np.int64),
            "skin": plate.grid(skin[1], unit * GRID),
            "inner": inner.astype(np.int64),
            "alpha": patch.alpha,
            **lips,
        }

    def _warp_live(
        self,
        image: Image,
        face: Face,
        goal: Points,
        anchors: npt.NDArray[np.float64],
        box: Box,
        unit: float,
        with_lips: bool,
        shown: Mask,
    ) -> Image:
        self.skin, self.lips = (skin_plate(face, goal, anchors, unit, with_lips), box, unit), None
        return super()._warp_live(image, face, goal, anchors, box, unit, with_lips, shown)

    def _fill_lips(
        self, region: Image, goal: Points, box: Box, unit: float, mouth: Mouth | None, unseen: float
    ) -> None:
        super()._fill_lips(region, goal, box, unit, mouth, unseen)
        if unseen > 0 or self._shrink(unit) > 1:
            self.lips = None

    def _put_mouth(
        self, below: Image, mouth: Mouth, goal: Points, box: Box, unit: float, soft: Mask, room: Mask
    ) -> None:
        if min(box[2:]) >= SMALLEST:
            image, at = as_fine(mouth, unit)
            plate = ThinPlate(goal[LIPS, :2].astype(np.float64), at.astype(np.float64), unit)
            own, corner = lips_colour(image, at), np.array(box[:2], np.float32)
            self.lips = {
                "mouth": image,
                "at": np.array([box[0], box[1], box[0] + box[2], box[1] + box[3]]),
                "lips": plate.grid(box, unit * GRID) + corner,
                "soft": soft,
                "rim": rim_of(room, goal, box, unit).astype(np.uint8) * np.uint8(255),
                "red": lips_of(soft),
                "tone": self._lips_shift(own),
                "usual": np.array(grey_of(own), np.float32),
            }
        super()._put_mouth(below, mouth, goal, box, unit, soft, room)


def composed(tracked: TrackedFrame, patch: MouthPatch) -> Image:
    """What the program makes of the patch's part of the frame."""
    x, y, width, height = patch.box
    return np.ascontiguousarray(Compositor().compose(tracked, patch, 1.0)[y : y + height, x : x + width])
