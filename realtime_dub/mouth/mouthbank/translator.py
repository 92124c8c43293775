"""A person's face painted from a drawing of its landmarks, and its mouth laid into the frame under a round soft mask.

The net is the person's own (``train-engine face-translator``). It sees the 68 landmarks as lines in a square about the
lips, turned as the head is, and gives the picture of that square. Steps as in tanjimin/unsupervised-video-dubbing.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from realtime_dub.blend import colour
from realtime_dub.blend.masks import bounding_box, lower_face, rounded
from realtime_dub.blend.patch import MouthPatch
from realtime_dub.blend.warp import Box
from realtime_dub.errors import BundleError
from realtime_dub.face.alignment import TEMPLATE, mouth_width, project
from realtime_dub.face.crop import Crop, crop_about
from realtime_dub.face.drawing68 import drawn
from realtime_dub.face.landmarks import LIPS
from realtime_dub.face.scheme68 import scheme68
from realtime_dub.face.types import Face, Points, Pose, TrackedFrame
from realtime_dub.inference import AUTO
from realtime_dub.inference import bundle as bundles
from realtime_dub.inference.spec import BundleSpec, FrameSpec
from realtime_dub.media import Image
from realtime_dub.mouth.contract import ImplausibleMouth
from realtime_dub.mouth.mouthbank.bank import Bank
from realtime_dub.mouth.mouthbank.denoiser import RADIUS, SIDE, Denoiser
from realtime_dub.mouth.mouthbank.inside import Inside, moved
from realtime_dub.mouth.mouthbank.render import Renderer, Way
from realtime_dub.mouth.mouthbank.sized import opacity_of

ENGINE, DRAWING, PAINTED = "landmark-dub", "drawing", "painted"
CENTRE = tuple(float(each) for each in TEMPLATE[LIPS].mean(0))  # in the canonical face
FULL = 255.0


def square(pose: Pose, size: int) -> Crop:
    """The square that is drawn and painted, ``size`` pixels a side."""
    return crop_about(pose, size, SIDE, (CENTRE[0], CENTRE[1], CENTRE[2]))


def drawing_of(points: Points, crop: Crop) -> Image:
    """The landmarks of a face (478, 3), frame pixels, as lines in ``crop`` (size, size, 3)."""
    at = scheme68(points)[:, :2] @ crop.matrix[:, :2].T + crop.matrix[:, 2]
    return drawn(at.astype(np.float32), crop.size, crop.size)


class Translator:
    """A bundle of task ``frame`` for this engine. Raises BundleError where it is another one."""

    def __init__(self, folder: Path, backend: str = AUTO) -> None:
        bundle = bundles.load_shared(folder)
        self.size = _checked(bundle.spec)
        self.name, self._session = bundle.spec.name, bundle.session(backend)
        grey = np.full((self.size, self.size, 3), 128, np.uint8)
        if self.painted(grey) is None:
            raise BundleError("cannot run bundle", f"{self.name}: it paints no picture", "train it again")

    def painted(self, drawing: Image) -> Image | None:
        """The picture (size, size, 3) of a drawing; None where the net gives no numbers."""
        shown = np.ascontiguousarray(drawing.transpose(2, 0, 1)[None], np.float32) / np.float32(FULL)
        found = self._session.run({DRAWING: shown})[PAINTED]
        if found.shape != shown.shape or not np.isfinite(found).all():
            return None
        return np.asarray(np.rint(np.clip(found[0].transpose(1, 2, 0), 0, 1) * FULL), np.uint8)


def _checked(spec: BundleSpec) -> int:
    """Pixels a side."""
    if not isinstance(spec, FrameSpec) or spec.engine != ENGINE:
        do = "make one with train-engine face-translator --video FILM"
        raise BundleError("no translator of faces:", spec.name, do)
    sides = (3, spec.height, spec.width)
    tensors = [(each.name, each.shape[1:]) for each in (*spec.inputs, *spec.outputs)]
    if spec.width != spec.height or tensors != [(DRAWING, sides), (PAINTED, sides)]:
        raise BundleError("cannot use bundle", f"{spec.name}: its tensors do not fit", "train it again")
    return spec.width


class TranslatedRenderer(Renderer):
    """Draws the mouths of one person by their translator; the bank gives the shape alone."""

    def __init__(
        self, bank: Bank, inside: Inside | None, translator: Translator, denoiser: Denoiser | None = None
    ) -> None:
        super().__init__(bank, inside)
        self._translator, self._denoiser = translator, denoiser

    def _made(self, tracked: TrackedFrame, face: Face, target: Points, way: Way, at_ns: int) -> MouthPatch | None:
        """As mouthbank's. On the way to the live mouth the painted one fades. Raises ImplausibleMouth."""
        assert self._bank.neutral is not None
        goal, unit = project(target, face.pose), face.pose.scale * mouth_width(self._bank.neutral)
        outline = lower_face(face.points, unit)
        box = bounding_box(outline, 2, tracked.frame.width, tracked.frame.height)
        if min(box[2:]) < 8:
            return None
        self.drawn_points = goal
        circle = rounded(goal[LIPS, :2].mean(0), RADIUS * unit, box)
        image = self._laid(tracked.frame.image, goal, square(face.pose, self._translator.size), box, circle)
        inside = opacity_of(outline, box, unit, self._shrink(unit))
        alpha = np.rint(inside * circle * np.float32(min(1.0, way.blend_weight))).astype(np.uint8)
        return MouthPatch(image, alpha, box, face.pose, at_ns, tracked.shot)

    def _laid(self, frame: Image, goal: Points, crop: Crop, box: Box, circle: npt.NDArray[np.float32]) -> Image:
        """The painted square at the pixels of ``box``, in the light that is there on the mask's rim."""
        painted = self._translator.painted(drawing_of(goal, crop))
        if painted is not None and self._denoiser is not None:
            painted = self._denoiser.smoothed(crop.take(frame), painted)
        if painted is None:
            raise ImplausibleMouth
        how = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
        back = cv2.warpAffine(painted, moved(crop, box).matrix, box[2:], flags=how, borderMode=cv2.BORDER_REPLICATE)
        image, below = np.asarray(back, np.uint8), frame[box[1] : box[1] + box[3], box[0] : box[0] + box[2]]
        rim: npt.NDArray[np.bool_] = (circle > 0) & (circle < 1)
        return colour.add(image, colour.rim_shift(below, image, rim))
