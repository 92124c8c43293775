"""The picture for a mouth's shape: the weighted median of the person's own frames, sharpened, with teeth.

Where time is short it comes from a table: medians of a few shapes, made one at a time while there is nothing else to
do, of which the nearest are mixed.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from realtime_dub.media import Floats, Image
from realtime_dub.mouth.own_texture.median import shares_of, weighted_median, whole
from realtime_dub.mouth.own_texture.teeth import FOUND, Chosen, Teeth
from realtime_dub.mouth.own_texture.textures import SPARSE_PLACES, Texture, Textures, distances

BEST, BEST_SHARE, FEWEST = 100, 0.16, 5  # frames that hold 0.9 of the weight: of many, of few, at least
MOST = 40  # frames that a median is made of; those behind have next to no weight
MOST_QUICK = 12  # and where time is short and the table is not there yet
ANGLE_COST = 0.12  # mouth widths a unit of direction cosine, between a frame's head and the live one's
UNSHARP, UNSHARP_SIGMA = 0.55, 1.2  # share; pixels of the texture
ENTRIES = 48  # of the table
MIXED = 3  # of its entries
MIX_WIDTH = 0.02  # mouth widths: sigma of their weights


@dataclass(frozen=True, slots=True, eq=False)
class Synthesised:
    """A texture that nobody filmed."""

    image: Image  # (HEIGHT, WIDTH, 3)
    shape: Floats  # (40, 3) its lips, as ``Mouth.shape``
    nearest: Texture  # of the frames that it is made of


class Synthesis:
    """One person's. Not thread-safe."""

    def __init__(self, textures: Textures, chosen: Chosen = FOUND) -> None:
        self.textures, self.teeth = textures, Teeth(chosen)
        self._table = Table(self)

    def add(self, texture: Texture) -> None:
        """One more frame to make textures of."""
        if self.textures.add(texture):
            self.teeth.see(texture)

    def make(self, wanted: Floats, angles: Floats | None = None, quick: bool = False) -> Synthesised:
        """For lips ``wanted`` (40, 2 or 3); ``angles`` (2,) of the head. There is at least one texture."""
        sparse = np.asarray(wanted[SPARSE_PLACES, :2])
        made = self._table.mixed(sparse) if quick else None
        return made or self.direct(sparse, angles, MOST_QUICK if quick else MOST)

    def prepare(self) -> bool:
        """Make one more entry of the table; False where all are there."""
        return self._table.prepare()

    def direct(self, sparse: Floats, angles: Floats | None = None, most: int = MOST) -> Synthesised:
        """The median itself, for lip points (20, 2), of at most so many frames."""
        distance = self._distances(sparse, angles)
        used = np.argsort(distance, kind="stable")[:most]
        share = shares_of(distance, best_of(len(distance)))[used]
        image = weighted_median(self.textures.images()[used], whole(share))
        share /= share.sum()
        shape = np.tensordot(share, self.textures.lips()[used], 1).astype(np.float32)
        return Synthesised(self.teeth.lay_over(sharpened(image), shape), shape, self.textures.kept[int(used[0])])

    def _distances(self, sparse: Floats, angles: Floats | None) -> Floats:
        found = distances(self.textures.shapes(), sparse)
        if angles is None:
            return found
        turned = np.abs(self.textures.angles() - angles).sum(-1)
        return np.asarray(np.hypot(found, ANGLE_COST * turned), np.float32)


class Table:
    """Medians of shapes that are as far from each other as can be."""

    def __init__(self, synthesis: Synthesis) -> None:
        self._synthesis = synthesis
        self._version = -1
        self._shapes: Floats = np.zeros((0, 20, 2), np.float32)
        self._made: list[Synthesised] = []

    def prepare(self) -> bool:
        textures = self._synthesis.textures
        if not len(textures):
            return False
        if textures.version > 2 * self._version:
            self._version = textures.version
            self._shapes, self._made = spread(textures.shapes(), ENTRIES), []
        if len(self._made) == len(self._shapes):
            return False
        self._made.append(self._synthesis.direct(self._shapes[len(self._made)]))
        return True

    def mixed(self, sparse: Floats) -> Synthesised | None:
        """Of the nearest entries; None before the whole table is there."""
        if not self._made or len(self._made) < len(self._shapes):
            return None
        distance = distances(self._shapes, sparse)
        nearest = np.argsort(distance)[:MIXED]
        weights = np.exp(-0.5 * (distance[nearest] ** 2 - distance[nearest[0]] ** 2) / MIX_WIDTH**2)
        weights /= weights.sum()
        chosen = [self._made[int(at)] for at in nearest]
        image = sum(w * each.image.astype(np.float32) for w, each in zip(weights, chosen, strict=True))
        shape = np.tensordot(weights, np.stack([each.shape for each in chosen]), 1).astype(np.float32)
        return Synthesised(np.asarray(image + 0.5).astype(np.uint8), shape, chosen[0].nearest)


def best_of(count: int) -> int:
    """How many of ``count`` frames hold most of the weight."""
    return max(FEWEST, min(BEST, round(BEST_SHARE * count)))


def sharpened(image: Image) -> Image:
    """An unsharp mask."""
    soft = cv2.GaussianBlur(image, (0, 0), UNSHARP_SIGMA)
    return np.asarray(cv2.addWeighted(image, 1 + UNSHARP, soft, -UNSHARP, 0), np.uint8)


def spread(shapes: Floats, count: int) -> Floats:
    """``count`` of the shapes (n, 20, 2), each as far as can be from those before."""
    chosen = [int(distances(shapes, shapes.mean(0)).argmin())]
    apart = distances(shapes, shapes[chosen[0]])
    while len(chosen) < min(count, len(shapes)):
        chosen.append(int(apart.argmax()))
        apart = np.minimum(apart, distances(shapes, shapes[chosen[-1]]))
    return shapes[chosen]
