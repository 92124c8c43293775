"""Rectangles of a frame."""

from __future__ import annotations

from dataclasses import dataclass

from realtime_dub.face.types import Points
from realtime_dub.media import Image


@dataclass(frozen=True, slots=True)
class Area:
    """A rectangle of a picture, pixels."""

    x: int
    y: int
    width: int
    height: int

    def of(self, image: Image) -> Image:
        """This part of ``image``."""
        return image[self.y : self.y + self.height, self.x : self.x + self.width]

    @property
    def middle(self) -> tuple[float, float]:
        return self.x + self.width / 2, self.y + self.height / 2

    def holds(self, x: float, y: float) -> bool:
        return self.x <= x < self.x + self.width and self.y <= y < self.y + self.height


def area_of(points: Points) -> Area:
    """The rectangle of a face (478, 3)."""
    low, high = points[:468, :2].min(0), points[:468, :2].max(0)
    return Area(int(low[0]), int(low[1]), int(high[0] - low[0]) + 1, int(high[1] - low[1]) + 1)
