"""Finds faces that are too small for the mesh's own detector, and the part of the picture to look at one in.

That detector makes 128 pixels of the whole picture, in which a face of a fifth of its height is just found. Here it
looks at tiles of half the height, one after another, so that a face of a twentieth is found.
"""

from __future__ import annotations

import cv2
import numpy as np

from realtime_dub.face.areas import Area
from realtime_dub.face.models import Box, Detector
from realtime_dub.media import NS, Image

EVERY_NS = NS  # from the beginning of one search to that of the next
TILES_A_FRAME = 2  # where a picture may not come late: 1.5 ms each
OVERLAP = 0.3  # of a tile: faces up to this size are whole in one of them
DETECTOR_PX = 256  # a tile is made this small with care, then by the detector without
LEAST_PX = 240  # smaller pictures hold no smaller faces worth looking for
FACES_HIGH = 3.0  # heights of a face that a close-up shows
STEADY = 0.03  # of a face's height: what moved by less has not moved
GROWTH, STEP = 0.06, 0.03  # a close-up's side changes when it is off by more, and by so much a picture
_DETECTED_HIGH = 1.35  # heights of the detector's box from the hair to the chin, which is the mesh's face


def close_up(face: Area, image: Image, last: Area | None = None) -> Area:
    """The square around ``face`` inside ``image``, where ``last`` was the one of the picture before.

    It goes with the face, picture by picture: the mesh looks where the face was *in the close-up*.
    """
    height, width = image.shape[:2]
    side, (x, y) = FACES_HIGH * face.height, face.middle
    if last is not None:
        ratio = side / last.width
        side = last.width * (min(max(ratio, 1 - STEP), 1 + STEP) if abs(ratio - 1) > GROWTH else 1)
        x, y = (
            old if abs(new - old) < STEADY * face.height else new for new, old in zip((x, y), last.middle, strict=True)
        )
    side = min(round(side), width, height)
    corner = round(x - side / 2), round(y - side / 2)
    return Area(min(max(corner[0], 0), width - side), min(max(corner[1], 0), height - side), side, side)


def tiles(width: int, height: int) -> list[Area]:
    """Squares of half the shorter side that cover a picture and overlap."""
    side = min(width, height) // 2
    if min(width, height) < LEAST_PX:
        return []
    across, down = (
        np.linspace(0, length - side, 1 + int(np.ceil((length - side) / (side * (1 - OVERLAP))))).astype(int)
        for length in (width, height)
    )
    return [Area(int(x), int(y), side, side) for y in down for x in across]


class FaceSearch:
    """Searches picture after picture. ``at_once``: each wholly, where nothing waits; else a few tiles of each."""

    def __init__(self, at_once: bool) -> None:
        self._a_frame = None if at_once else TILES_A_FRAME
        self._detector = Detector()
        self._left: list[Area] = []
        self._size = (0, 0)
        self._began_ns: int | None = None
        self._found: list[Area] = []

    def search(self, image: Image, at_ns: int) -> list[Area] | None:
        """The faces of a search that is at most ``EVERY_NS`` old; None while the next one is under way."""
        size = image.shape[1], image.shape[0]
        old = self._began_ns is None or not 0 <= at_ns - self._began_ns < EVERY_NS
        if size != self._size or (old and not self._left):
            self._size, self._left, self._found, self._began_ns = size, tiles(*size), [], at_ns
        now, self._left = self._left[: self._a_frame], self._left[len(self._left[: self._a_frame]) :]
        for tile in now:
            self._found += self._in(tile, image)
        return None if self._left else apart(self._found)

    def dismiss(self, area: Area) -> None:
        """What was found there is no face."""
        self._found = [each for each in self._found if not area.holds(*each.middle)]

    def close(self) -> None:
        """Release the model."""
        self._detector.close()

    def _in(self, tile: Area, image: Image) -> list[Area]:
        side = min(tile.width, DETECTOR_PX)
        small = cv2.resize(tile.of(image), (side, side), interpolation=cv2.INTER_AREA)
        return [_area(box, tile) for box in self._detector.find(np.asarray(small, np.uint8))]


def _area(box: Box, tile: Area) -> Area:
    """The detector's box, made as high as the mesh's face would be."""
    x, y, width, height = (tile.width * share for share in box)
    top = y - (_DETECTED_HIGH - 1) * height
    return Area(round(tile.x + x), round(tile.y + top), round(width), round(_DETECTED_HIGH * height))


def apart(found: list[Area]) -> list[Area]:
    """One of each face that several tiles have seen: the largest, which is the most whole."""
    kept: list[Area] = []
    for each in sorted(found, key=lambda area: -area.height):
        if not any(other.holds(*each.middle) for other in kept):
            kept.append(each)
    return kept
