"""Clips with something before the mouth, made of clips without: it comes, stays for a while and goes again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from engines.mouthbank.occlusion.things import SIDE, THINGS, UNIT, Face, Thing
from realtime_dub.face.landmarks import LIPS
from realtime_dub.face.types import Points, TrackedFrame
from realtime_dub.media import Image

COMES, STAYS, GOES = 0.15, 0.4, 0.75  # of the clip: begins to come, is there, begins to go
AWAY = 3.5  # mouth widths from where it stays
FIXED = ("mask", "subtitle")  # one is worn, the other stands in the picture
SKIN = 205  # a point of the cheek
_MIDDLE = np.full(2, (SIDE - 1) / 2)


@dataclass(frozen=True, eq=False)
class Occluded:
    """Images, and for each the share (height, width) 0..1 of a pixel that is the thing's."""

    images: list[Image]
    shares: list[npt.NDArray[np.float32]]


def occluded(
    seen: Sequence[TrackedFrame], kind: str, seed: int, away: Callable[[int, int], float] | None = None
) -> Occluded:
    """The frames of ``seen``, in all of which there is a face, with a ``kind`` of ``THINGS`` before it.

    ``away`` says of each frame, and of how many there are, how far away the thing is, 0..1; what is worn or written
    fades in so. Without it things come, stay and go, and what is worn or written is there all the time.
    """
    first = seen[0].face
    assert first is not None
    rng = np.random.default_rng(seed)
    x, y = np.rint(first.points[SKIN, :2]).astype(int)
    colour = np.median(seen[0].frame.image[y - 2 : y + 3, x - 2 : x + 3].reshape(-1, 3), axis=0).astype(np.float32)
    thing = _one_that_covers(kind, Face(_on_canvas(first.points, first.pose.scale), colour), rng)
    from_where = AWAY * np.array([rng.uniform(-0.5, 0.5), 1.0])
    images, shares = [], []
    for k, each in enumerate(seen):
        assert each.face is not None
        face = each.face if kind == "mask" else first  # what is worn goes along with the head
        far = (away or _away)(k, len(seen))
        at = face.points[LIPS, :2].mean(0) + face.pose.scale * from_where * (0 if kind in FIXED else far)
        image, share = _before(each.frame.image, thing, at, face.pose.scale / UNIT, kind == "subtitle")
        if away is not None and kind in FIXED:
            image, share = _faded(each.frame.image, image, 1 - far), share * np.float32(1 - far)
        images.append(image)
        shares.append(share)
    return Occluded(images, shares)


def _one_that_covers(kind: str, face: Face, rng: np.random.Generator) -> Thing:
    """A thing of which some, and not all, is before the mouth."""
    mouth = np.zeros((SIDE, SIDE), bool)
    mouth[SIDE // 2 - UNIT // 4 : SIDE // 2 + UNIT // 3, SIDE // 2 - UNIT // 2 : SIDE // 2 + UNIT // 2] = True
    most = 1.0 if kind == "mask" else 0.6
    while True:
        thing = THINGS[kind][0](rng, face)
        if 0.1 < float(thing.alpha[mouth].mean()) <= most:
            return thing


def _on_canvas(points: Points, scale: float) -> npt.NDArray[np.float32]:
    return np.asarray((points[:, :2] - points[LIPS, :2].mean(0)) * (UNIT / scale) + _MIDDLE, np.float32)


def _away(k: int, count: int) -> float:
    """0 where it stays, 1 where it comes from."""
    done = k / max(1, count - 1)
    return float(np.clip(max((STAYS - done) / (STAYS - COMES), (done - GOES) / (1 - GOES)), 0, 1))


def _before(
    image: Image, thing: Thing, at: npt.NDArray[np.float64], scale: float, alone: bool
) -> tuple[Image, npt.NDArray[np.float32]]:
    """A frame with the thing at ``at``. What leaves the canvas goes on beyond it, unless it stands ``alone``."""
    matrix = np.concatenate([np.eye(2) * scale, (at - scale * _MIDDLE)[:, None]], 1)
    size, border = (image.shape[1], image.shape[0]), cv2.BORDER_CONSTANT if alone else cv2.BORDER_REPLICATE
    drawn, share = (cv2.warpAffine(each, matrix, size, borderMode=border) for each in (thing.image, thing.alpha))
    mixed = image + share[..., None] * (np.clip(drawn, 0, 255) - image)
    return np.asarray(mixed + 0.5, np.uint8), np.asarray(share, np.float32)


def _faded(image: Image, over: Image, weight: float) -> Image:
    return np.asarray(cv2.addWeighted(over, weight, image, 1 - weight, 0), np.uint8)
