"""The pictures of a person's mouth that textures are made of, laid over each other: the head's pose is taken out.

A place in a picture is a place of the canonical face, counted from the middle of the resting lips.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from realtime_dub.face.landmarks import LIPS, SPARSE_LIPS
from realtime_dub.media import Floats, Image
from realtime_dub.mouth.mouthbank.bank import Mouth

PIXELS = 72  # a mouth width
LEFT, UP, RIGHT, DOWN = 0.80, 0.52, 0.80, 0.64  # mouth widths around the middle of the lips
WIDTH, HEIGHT = round(PIXELS * (LEFT + RIGHT)), round(PIXELS * (UP + DOWN))
CAPACITY = 240
NOVELTY = 0.004  # mouth widths: nearer shapes are the same mouth, of which the sharper picture is kept
SPARSE_PLACES = np.array([int(np.flatnonzero(index == LIPS)[0]) for index in SPARSE_LIPS])  # among LIPS


@dataclass(frozen=True, slots=True, eq=False)
class Texture:
    """One picture of the mouth, without the head's pose."""

    image: Image  # (HEIGHT, WIDTH, 3) BGR
    shape: Floats  # (40, 3) as ``Mouth.shape``
    angles: Floats  # (2,) of the head
    sharpness: float
    number: int  # of the frame it is from; -1 from a bank
    rows: Floats  # (2,) row of the texture = rows[0] + rows[1] * row of the frame, in the middle of the mouth

    def row(self, row: float) -> float:
        """Where a row of the frame lies."""
        return float(self.rows[0] + self.rows[1] * row)

    @property
    def sparse(self) -> Floats:
        """The 20 lip points (20, 2), mouth widths."""
        return np.asarray(self.shape[SPARSE_PLACES, :2])


def place_of(points: Floats) -> Floats:
    """Pixels of a picture (..., 2) for places (..., 2 or 3), mouth widths from the middle of the resting lips."""
    return np.asarray((points[..., :2] + np.array([LEFT, UP], np.float32)) * np.float32(PIXELS) - np.float32(0.5))


def texture_of(mouth: Mouth, number: int = -1, lips: Floats | None = None) -> Texture:
    """``mouth`` laid out: the affine map that takes its lips to where the canonical face has them.

    ``number``, ``lips`` (40, 2 or 3): of the frame that it was cut from, and where they are in that.
    """
    there = np.concatenate([mouth.lips, np.ones((len(mouth.lips), 1), np.float32)], 1).astype(np.float64)
    matrix = np.linalg.lstsq(there, place_of(mouth.shape).astype(np.float64), rcond=None)[0].T
    how = cv2.INTER_AREA if abs(np.linalg.det(matrix[:, :2])) < 0.5 else cv2.INTER_CUBIC
    image = cv2.warpAffine(mouth.image, matrix, (WIDTH, HEIGHT), flags=how, borderMode=cv2.BORDER_REPLICATE)
    seen = mouth.lips if lips is None else lips
    rows = np.polyfit(seen[:, 1].astype(np.float64), place_of(mouth.shape)[:, 1].astype(np.float64), 1)[::-1]
    return Texture(
        np.asarray(image, np.uint8), mouth.shape, mouth.angles, mouth.sharpness, number, rows.astype(np.float32)
    )


class Textures:
    """One person's, at most ``CAPACITY``, of many shapes. ``version`` counts every change."""

    def __init__(self) -> None:
        self.kept: list[Texture] = []
        self.version = 0
        self._stacked: dict[str, npt.NDArray[Any]] = {}

    def __len__(self) -> int:
        return len(self.kept)

    def add(self, texture: Texture) -> bool:
        """One more; of two that are the same mouth the sharper one stays. Whether it was taken."""
        if self.kept:
            distance = distances(self.shapes(), texture.sparse)
            nearest = int(distance.argmin())
            if distance[nearest] < NOVELTY:
                if texture.sharpness <= self.kept[nearest].sharpness:
                    return False
                self.kept.pop(nearest)
            elif len(self.kept) >= CAPACITY:
                self.kept.pop(self._most_redundant())
        self.kept.append(texture)
        self._stacked = {}
        self.version += 1
        return True

    def images(self) -> npt.NDArray[np.uint8]:
        """(n, HEIGHT, WIDTH, 3)."""
        return self._all("image")

    def shapes(self) -> Floats:
        """(n, 20, 2), mouth widths."""
        return self._all("sparse")

    def lips(self) -> Floats:
        """(n, 40, 3), mouth widths."""
        return self._all("shape")

    def angles(self) -> Floats:
        """(n, 2) of the heads."""
        return self._all("angles")

    def _all(self, name: str) -> npt.NDArray[Any]:
        """One field of all, stacked once."""
        if name not in self._stacked:
            self._stacked[name] = np.stack([getattr(each, name) for each in self.kept])
        return self._stacked[name]

    def _most_redundant(self) -> int:
        """The less sharp of the two that are most alike."""
        shapes = self.shapes().reshape(len(self.kept), -1)
        lengths = (shapes**2).sum(1)
        apart = lengths[:, None] + lengths - 2 * (shapes @ shapes.T)
        np.fill_diagonal(apart, np.inf)
        one, other = (int(each) for each in np.unravel_index(int(apart.argmin()), apart.shape))
        return one if self.kept[one].sharpness < self.kept[other].sharpness else other


def distances(shapes: Floats, wanted: Floats) -> Floats:
    """From shapes (n, 20, 2) to one (20, 2): root mean square over the points, each shape's place included."""
    return np.asarray(np.sqrt(((shapes - wanted) ** 2).sum(-1).mean(-1)), np.float32)
