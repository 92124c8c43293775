"""A generator that is told how the mouth moves: what is lost then is lost in drawing and in tracking the result."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

import numpy as np

from engines.common import Array
from realtime_dub import mouth
from realtime_dub.face.alignment import LOWER, mouth_width, neutral_shape
from realtime_dub.face.types import TrackedFrame
from realtime_dub.media import NS
from realtime_dub.mouth.contract import MouthPatch
from realtime_dub.mouth.mouthbank import MouthbankGenerator

NAME = "true-motion"


class TrueMotionGenerator(MouthbankGenerator):
    """Draws ``motions`` (T, 168, 3), one per frame, and never hands the live mouth back."""

    motions: ClassVar[Array]
    fps: ClassVar[float]

    def generate(self, tracked: TrackedFrame, at_ns: int) -> MouthPatch | None:
        if self.bank.neutral is None:
            self.bank.observe(tracked)
        frame = min(round(at_ns * self.fps / NS), len(self.motions) - 1)
        return self._renderer.render(tracked, self.motions[frame], 1.0, at_ns)


@contextmanager
def driven_by(shapes: Array, fps: float = 25) -> Iterator[None]:
    """In this block the engine ``true-motion`` moves as canonical shapes (T, 478, 3) do; NaN is rest."""
    neutral = neutral_shape(np.asarray(shapes[np.isfinite(shapes).all((1, 2))], np.float32))
    TrueMotionGenerator.motions = np.nan_to_num((shapes[:, LOWER] - neutral[LOWER]) / mouth_width(neutral))
    TrueMotionGenerator.fps = fps
    mouth.ENGINES[NAME] = "benchmarks.true_motion:TrueMotionGenerator"
    try:
        yield
    finally:
        del mouth.ENGINES[NAME]
