"""Lays the synthesised texture into the frame: warped back to the head, above the line of the chin, blended.

The skin beside the texture is the live skin, bent along by mouthbank's renderer. So the jaw follows, the head's own
motion stays, and there is no hole behind the chin that would have to be inpainted.
"""

from __future__ import annotations

import numpy as np

from realtime_dub.blend import colour, pyramid
from realtime_dub.blend.masks import Mask, bounding_box, dilated, feather, lower_face, polygon, within
from realtime_dub.blend.patch import MouthPatch
from realtime_dub.blend.warp import Box, ThinPlate, moved_map, sample
from realtime_dub.blend.working import WorkingCopy
from realtime_dub.face.landmarks import LIPS, LIPS_OUTER
from realtime_dub.face.types import Face, Points, TrackedFrame
from realtime_dub.media import Floats, Image
from realtime_dub.mouth.mouthbank.bank import Bank, Mouth, crop_sharpness, cut_mouth, lip_shape, view_angles
from realtime_dub.mouth.mouthbank.cavity import max_lip_opening, missing, paint_cavity
from realtime_dub.mouth.mouthbank.inside import Inside
from realtime_dub.mouth.mouthbank.render import GRID, Renderer, Way
from realtime_dub.mouth.own_texture.synthesis import Synthesis
from realtime_dub.mouth.own_texture.teeth import FOUND, Chosen
from realtime_dub.mouth.own_texture.texture_file import TextureFile
from realtime_dub.mouth.own_texture.textures import Textures, place_of, texture_of

ENOUGH = 6  # frames that a median needs; before them the bank's mouths are used
RIM = 0.20  # mouth widths of skin around the lips that come with the texture
FEATHER = 0.05
CHIN = 0.06  # mouth widths above the chin's line, where the texture ends
TURNED_DEG = 28.0  # a head that is turned further is not learnt from
LEVELS = 3  # of the pyramid
SHARP_ENOUGH = 0.35  # of the median sharpness: frames below it are blurred by motion


class TextureRenderer(Renderer):
    """Draws the mouths of one person from their own frames."""

    def __init__(
        self, bank: Bank, inside: Inside | None = None, chosen: Chosen = FOUND, file: TextureFile | None = None
    ) -> None:
        super().__init__(bank, inside)
        self._file = file or TextureFile(None)
        self.textures = Textures()
        self.synthesis = Synthesis(self.textures, chosen)
        self.quick = False  # textures from the table; may be changed
        self._weight = 1.0  # of the texture against the live mouth
        for mouth in bank.mouths:
            self.synthesis.add(texture_of(mouth))

    def observe(self, tracked: TrackedFrame) -> None:
        """A frame more to make textures of, or an entry more of the table."""
        face, neutral = tracked.face, self._bank.neutral
        if face is None or neutral is None or abs(face.pose.yaw_deg) > TURNED_DEG:
            return
        sharpness = crop_sharpness(tracked, face)
        known = [each.sharpness for each in self.textures.kept]
        if len(known) >= ENOUGH and sharpness < SHARP_ENOUGH * float(np.median(known)):
            return
        mouth = cut_mouth(tracked, face, lip_shape(face.canonical, neutral), sharpness)
        if min(mouth.image.shape[:2]) >= 8:
            self.synthesis.add(texture_of(mouth, tracked.frame.seq, face.points[LIPS]))

    def _made(self, tracked: TrackedFrame, face: Face, target: Points, way: Way, at_ns: int) -> MouthPatch | None:
        """As mouthbank's. On the way to the live mouth the texture goes as the shape does."""
        self._weight = min(1.0, way.blend_weight)
        neutral = self._bank.neutral
        if neutral is None or len(self.textures) < ENOUGH:
            return super()._made(tracked, face, target, way, at_ns)
        wanted = lip_shape(target, neutral)
        mouth = self._synthesised(face, wanted, at_ns)
        unseen = missing(max_lip_opening(wanted), mouth.max_lip_opening)
        return self._drawn(tracked, face, target, mouth, unseen, at_ns)

    def _synthesised(self, face: Face, wanted: Floats, at_ns: int) -> Mouth:
        """The texture as a mouth of the bank would be."""
        angles = view_angles(face)
        if (before := self._file.at(at_ns)) is not None:
            image, shape = before
        else:
            made = self.synthesis.make(wanted, angles, self.quick)
            image, shape = made.image, made.shape
            self._file.add(at_ns, image, shape)
        return Mouth(image, place_of(shape).astype(np.float32), shape, angles, 0.0, max_lip_opening(shape))

    def _fill_lips(
        self, region: Image, goal: Points, box: Box, unit: float, mouth: Mouth | None, unseen: float
    ) -> None:
        if mouth is None or len(self.textures) < ENOUGH:
            super()._fill_lips(region, goal, box, unit, mouth, unseen)
            return
        lips = goal[LIPS_OUTER].astype(np.float64)
        whole = bounding_box(lips, unit * (RIM + 3 * FEATHER), box[0] + box[2], box[1] + box[3])
        inner = within(whole, box)
        if min(inner[2:]) < 8:
            return
        part = WorkingCopy.of(region, box, inner, self._shrink(unit))
        goal, unit = part.points(goal), part.length(unit)
        mask = texture_mask(goal, part.box, unit)
        shown = np.asarray(np.rint(mask * np.float32(self._weight)), np.uint8) if self._weight < 1 else mask
        lay_texture(part.image, mouth, goal, part.box, unit, shown)
        paint_cavity(part.image, goal, part.box, unit, unseen)
        part.lay_back(shown)


def texture_mask(goal: Points, box: Box, unit: float) -> Mask:
    """The lips and the skin around them, above the chin's line, as a soft mask of ``box``."""
    around = polygon(dilated(goal[LIPS_OUTER].astype(np.float64), RIM * unit), box)
    above_chin = polygon(dilated(lower_face(goal, 0.0), -CHIN * unit), box)
    return feather(np.minimum(around, above_chin), FEATHER * unit)


def lay_texture(below: Image, mouth: Mouth, goal: Points, box: Box, unit: float, mask: Mask) -> None:
    """Put the texture into ``below``, the picture of ``box``, in the light that is there on the mask's rim."""
    plate = ThinPlate(goal[LIPS, :2].astype(np.float64), mouth.lips.astype(np.float64), unit)
    picture = sample(mouth.image, moved_map(box, plate.field(box, unit * GRID)))
    lips = polygon(dilated(goal[LIPS_OUTER].astype(np.float64), 0.05 * unit), box)
    rim = (mask > 60) & (lips == 0)
    picture = colour.add(picture, colour.rim_shift(below, picture, rim))
    below[:] = pyramid.blend(below, picture, mask, LEVELS)
