"""An avatar's picture net at work: a drawing in, the person before any background out."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from realtime_dub.errors import BundleError
from realtime_dub.inference import AUTO
from realtime_dub.inference import bundle as bundles
from realtime_dub.inference.spec import BundleSpec, FrameSpec
from realtime_dub.media import Floats, Image
from realtime_dub.mouth.avatar.folder import AGAIN
from realtime_dub.mouth.contract import ImplausibleMouth

ENGINE, DRAWING, PAINTED = "avatar", "drawing", "painted"
OUT = 4  # blue, green, red, share of the person
FULL = np.float32(255)


class Painter:
    """A bundle of task ``frame`` for this engine. Raises BundleError where it is another one."""

    def __init__(self, folder: Path, backend: str = AUTO) -> None:
        bundle = bundles.load_shared(folder)
        self.size = _checked(bundle.spec)
        self.label, self.sha256, self._session = bundle.label, bundle.sha256, bundle.session(backend)
        self.backend = self._session.backend
        try:
            self.painted(np.zeros((self.size, self.size, 3), np.uint8))
        except ImplausibleMouth:
            raise BundleError("cannot run bundle", f"{self.label}: it paints no picture", AGAIN) from None

    def painted(self, drawing: Image) -> Floats:
        """The person of a drawing (size, size, 3): BGR and their share of each pixel (OUT, size, size), 0..1.

        Raises ImplausibleMouth.
        """
        shown = np.ascontiguousarray(drawing.transpose(2, 0, 1)[None], np.float32) / FULL
        found = self._session.run({DRAWING: shown})[PAINTED]
        if found.shape != (1, OUT, self.size, self.size) or not np.isfinite(found).all():
            raise ImplausibleMouth
        return np.asarray(np.clip(found[0], 0, 1), np.float32)


def scaled(painted: Floats, side: int) -> tuple[Floats, Floats]:
    """What a net painted (OUT, n, n), 0..1, at another size: the person (side, side, 3), levels, and their share."""
    layers = np.ascontiguousarray(painted.transpose(1, 2, 0))
    if layers.shape[0] != side:
        how = cv2.INTER_AREA if layers.shape[0] > side else cv2.INTER_CUBIC
        layers = np.clip(cv2.resize(layers, (side, side), interpolation=how), 0, 1)
    return layers[..., :3] * FULL, layers[..., 3]


def laid(person: Floats, share: Floats, behind: Image) -> Image:
    """A person (n, n, 3), levels, over what is ``behind`` them (n, n, 3), by their ``share`` (n, n) of each pixel."""
    part = share[..., None]
    return np.asarray(np.rint(part * person + (1 - part) * behind), np.uint8)


def _checked(spec: BundleSpec) -> int:
    """Pixels a side."""
    if not isinstance(spec, FrameSpec) or spec.engine != ENGINE:
        raise BundleError("no picture net of an avatar:", spec.name, AGAIN)
    tensors = [(each.name, each.shape[1:]) for each in (*spec.inputs, *spec.outputs)]
    sides = spec.height, spec.width
    if spec.width != spec.height or tensors != [(DRAWING, (3, *sides)), (PAINTED, (OUT, *sides))]:
        raise BundleError("cannot use bundle", f"{spec.name}: its tensors do not fit", AGAIN)
    return spec.width
