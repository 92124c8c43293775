"""Textures that were made for a film's instants, written down or read. The composite is all that is left to do."""

from __future__ import annotations

import numpy as np

from realtime_dub.media import Floats, Image
from realtime_dub.mouth.own_texture.textures import HEIGHT, WIDTH
from realtime_dub.mouth.steps import Steps


class TextureFile:
    """Of one run. ``steps`` says whether it is written or read; without them it is neither."""

    def __init__(self, steps: Steps | None) -> None:
        self._steps = steps
        self._made: dict[int, tuple[Image, Floats]] = {}
        self.reads = steps is not None and "texture" not in steps and "composite" in steps
        if steps is not None and self.reads:
            kept = steps.read("texture", images=(None, HEIGHT, WIDTH, 3), shapes=(None, 40, 3), times_ns=(None,))
            rows = zip(kept["times_ns"], kept["images"].astype(np.uint8), kept["shapes"], strict=True)
            self._made = {int(at): (image, shape.astype(np.float32)) for at, image, shape in rows}

    def at(self, at_ns: int) -> tuple[Image, Floats] | None:
        """What was made before for an instant."""
        return self._made.get(at_ns) if self.reads else None

    def add(self, at_ns: int, image: Image, shape: Floats) -> None:
        if self._steps is not None and "texture" in self._steps:
            self._made[at_ns] = image, shape

    def write(self) -> None:
        if self._steps is None or "texture" not in self._steps or not self._made:
            return
        images, shapes = (np.stack(each) for each in zip(*self._made.values(), strict=True))
        self._steps.write("texture", {"images": images, "shapes": shapes, "times_ns": np.array([*self._made])})
