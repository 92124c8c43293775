"""A network that makes faces clearer, of task ``restore``: the face's square goes through it, and back into place."""

from __future__ import annotations

import time
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from realtime_dub.blend.colour import add, rim_shift
from realtime_dub.errors import BundleError
from realtime_dub.face.crop import Crop
from realtime_dub.face.landmarks import CORNERS
from realtime_dub.inference import AUTO
from realtime_dub.inference.bundle import Bundle, load
from realtime_dub.inference.spec import RestoreSpec
from realtime_dub.media import Floats, Image
from realtime_dub.mouth.avatar.edges import OVAL, Points2
from realtime_dub.mouth.avatar.enhancing import Seen

__all__ = ["RestoreNetwork", "Restorer", "aligned"]

# Where eyes, nose and the corners of the mouth lie in FFHQ's faces, of the square's side.
FFHQ = np.array([[0.377, 0.469], [0.623, 0.469], [0.501, 0.613], [0.393, 0.725], [0.611, 0.725]])
EYES, NOSE = ((33, 133), (362, 263)), 4
SOFT = 0.04  # of the square's side: how softly the face goes over into what is around it
RIM = 0.03  # and how wide the stripe is by which colours are compared
ANOTHER = "choose another --enhancer, made by import-engine"


class RestoreNetwork:
    """A bundle's network, tried once. ``took_ns``: one call. Raises BundleError."""

    def __init__(self, bundle: Bundle, backend: str = AUTO) -> None:
        spec = bundle.spec
        if not isinstance(spec, RestoreSpec):
            raise BundleError("no network that restores faces:", f"{spec.name}: its task is {spec.task}", ANOTHER)
        shape = ((spec.inputs, spec.size), (spec.outputs, spec.size))
        if any(len(ports) != 1 or ports[0].shape[1:] != (3, size, size) for ports, size in shape):
            raise BundleError("cannot use bundle", f"{spec.name}: its tensors do not fit", ANOTHER)
        self.spec, self._session = spec, bundle.session(backend)
        self.took_ns = self._tried()

    def __call__(self, face: Image) -> Image | None:
        """A face (size, size, 3), BGR; None where what was given is none."""
        shown = face[..., ::-1] * np.float32(2 / 255) - 1 if self.spec.signed_rgb else face / np.float32(255)
        feeds = {self.spec.inputs[0].name: np.ascontiguousarray(shown.transpose(2, 0, 1)[None], np.float32)}
        try:
            found = self._session.run(feeds)[self.spec.outputs[0].name]
        except BundleError:
            raise
        except Exception as error:  # each backend has its own tree
            why = f"{self.spec.name}: {type(error).__name__}: {error}"
            raise BundleError("cannot run bundle", why, ANOTHER) from error
        if found.shape != (1, 3, self.spec.size, self.spec.size) or not np.isfinite(found).all():
            return None
        return self._image(found[0])

    def _image(self, found: Floats) -> Image:
        image = found.transpose(1, 2, 0)
        image = (image[..., ::-1] + 1) / 2 if self.spec.signed_rgb else image
        return np.ascontiguousarray(np.rint(np.clip(image, 0, 1) * 255), np.uint8)

    def _tried(self) -> int:
        grey = np.full((self.spec.size, self.spec.size, 3), 128, np.uint8)
        self(grey)  # loads what it needs
        began_ns = time.perf_counter_ns()
        if self(grey) is None:
            raise BundleError("cannot run bundle", f"{self.spec.name}: it gives no picture", ANOTHER)
        return time.perf_counter_ns() - began_ns


class Restorer:
    """The enhancer that such a network is. Raises BundleError where ``folder`` holds none."""

    def __init__(self, folder: Path, backend: str = AUTO) -> None:
        self._network = RestoreNetwork(load(folder), backend)
        spec = self._network.spec
        self.terms = f"enhanced by {spec.name} {spec.version}. {spec.licence}. {spec.notice}".strip()
        self.compute_ns = self._network.took_ns

    def enhanced(self, seen: Seen) -> Image:
        """The face alone; a network that gives no face leaves the picture as it is."""
        crop = aligned(seen.face, self._network.spec.size)
        before = crop.take(seen.picture)
        found = self._network(before)
        if found is None:
            return seen.picture
        mask, rim = _areas(seen.face @ crop.matrix[:, :2].T + crop.matrix[:, 2], crop.size)
        found = add(found, rim_shift(before, found, rim))  # its colours are those that it has learnt
        back, weight = _put_back(found, mask, crop, seen)
        weight = weight[..., None] * seen.share[..., None]
        return np.asarray(np.rint(weight * back + (1 - weight) * seen.picture), np.uint8)


def _put_back(found: Image, mask: Floats, crop: Crop, seen: Seen) -> tuple[Image, Floats]:
    """A square and its mask at their place in the picture; made smaller first, where they are larger than that."""
    scale = float(np.sqrt(abs(np.linalg.det(crop.back[:, :2]))))
    if scale < 1:
        crop = aligned(seen.face, max(16, round(scale * crop.size)))
        small = crop.size, crop.size
        found = np.asarray(cv2.resize(found, small, interpolation=cv2.INTER_AREA), np.uint8)
        mask = np.asarray(cv2.resize(mask, small, interpolation=cv2.INTER_AREA), np.float32)
    size = (seen.picture.shape[1], seen.picture.shape[0])
    back, weight = (cv2.warpAffine(each, crop.back, size, flags=cv2.INTER_LINEAR) for each in (found, mask))
    return np.asarray(back, np.uint8), np.asarray(weight, np.float32)


def aligned(face: Points2, size: int) -> Crop:
    """The square in which eyes, nose and mouth lie nearest to where FFHQ's do: turned and scaled, not stretched."""
    points = np.asarray(face, np.float64)
    there = np.stack([*(points[list(pair)].mean(0) for pair in EYES), points[NOSE], *points[list(CORNERS)]])
    a, b = (each @ np.array([1, 1j]) for each in (there, FFHQ * size - 0.5))
    turn = np.vdot(a - a.mean(), b - b.mean()) / max(np.vdot(a - a.mean(), a - a.mean()).real, 1e-9)
    shift = b.mean() - turn * a.mean()
    return Crop(np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]]), size)


def _areas(face: Points2, size: int) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """In the square: how much of each pixel is taken (size, size), and the stripe inside the face's outline (bool)."""
    mask = np.zeros((size, size), np.uint8)
    cv2.fillConvexPoly(mask, cv2.convexHull(np.rint(face[OVAL]).astype(np.int32)), (255,))
    wide = max(1, round(RIM * size))
    inner = cv2.erode(
        mask, np.ones((2 * wide + 1, 2 * wide + 1), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=(0,)
    )
    weight = cv2.GaussianBlur(inner.astype(np.float32) / 255, (0, 0), max(0.5, SOFT / 2 * size))
    return np.asarray(weight, np.float32), np.asarray((mask > 0) & (inner == 0))
