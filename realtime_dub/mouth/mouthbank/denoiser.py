"""What runs behind the paste of a painted mouth: a small net that takes the seam and the noise out of it.

The net is the person's own, as their translator is. It has learnt pairs of a picture into which the mouth was pasted as
a rectangle, and of the same one under the round soft mask: as in tanjimin/unsupervised-video-dubbing, where a net is
fitted anew to each frame. One that has learnt from a film does so at once.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from realtime_dub.blend import colour
from realtime_dub.blend.masks import rounded
from realtime_dub.errors import BundleError
from realtime_dub.face.alignment import TEMPLATE, mouth_width
from realtime_dub.inference import AUTO
from realtime_dub.inference import bundle as bundles
from realtime_dub.inference.spec import FrameSpec
from realtime_dub.media import Image

ENGINE, PASTED, SMOOTHED = "landmark-dub", "pasted", "smoothed"
SIDE = 2.0  # of the square, template units
RADIUS = 1.0  # of the round mask, mouth widths
RECTANGLE = 0.9  # half the side of what is pasted first, radii: its edges lie where the mask is soft
FULL = 255.0


def radius_in(size: int) -> float:
    """Of the round mask in a square of ``size`` pixels, of a mouth as wide as the template's."""
    return RADIUS * mouth_width(TEMPLATE) * size / SIDE


def round_mask(size: int) -> npt.NDArray[np.float32]:
    """The round mask (size, size), 0..1."""
    middle = np.full(2, (size - 1) / 2, np.float32)
    return rounded(middle, radius_in(size), (0, 0, size, size))


def fitted(below: Image, painted: Image) -> Image:
    """``painted`` in the light that ``below`` has on the mask's rim, both (size, size, 3)."""
    mask = round_mask(len(below))
    return colour.add(painted, colour.rim_shift(below, painted, (mask > 0) & (mask < 1)))


def pasted(below: Image, painted: Image) -> Image:
    """The middle of ``painted`` laid into ``below`` (size, size, 3) as a square with hard edges."""
    size = len(below)
    inset = max(0, round((size - 1) / 2 - RECTANGLE * radius_in(size)))
    image = below.copy()
    image[inset : size - inset, inset : size - inset] = painted[inset : size - inset, inset : size - inset]
    return image


class Denoiser:
    """A bundle of task ``frame`` whose net smooths what was pasted. Raises BundleError where it is another one."""

    def __init__(self, folder: Path, size: int, backend: str = AUTO) -> None:
        """``size``: pixels a side of what the translator paints."""
        bundle = bundles.load_shared(folder)
        _check(bundle, size)
        self._session = bundle.session(backend)

    def smoothed(self, below: Image, painted: Image) -> Image | None:
        """``painted`` as it goes with the picture around it (size, size, 3); None where the net gives no numbers."""
        laid = pasted(below, fitted(below, painted))
        shown = np.ascontiguousarray(laid.transpose(2, 0, 1)[None], np.float32) / np.float32(FULL)
        found = self._session.run({PASTED: shown})[SMOOTHED]
        if found.shape != shown.shape or not np.isfinite(found).all():
            return None
        return np.asarray(np.rint(np.clip(found[0].transpose(1, 2, 0), 0, 1) * FULL), np.uint8)


def _check(bundle: bundles.Bundle, size: int) -> None:
    spec = bundle.spec
    tensors = [(each.name, each.shape[1:]) for each in (*spec.inputs, *spec.outputs)]
    sides = (3, size, size)
    if not isinstance(spec, FrameSpec) or tensors != [(PASTED, sides), (SMOOTHED, sides)]:
        do = "make one with train-engine face-translator --stage denoiser"
        raise BundleError("no denoiser of painted faces:", spec.name, do)
