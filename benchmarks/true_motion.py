"""A generator that is told how the mouth moves: what is lost then is lost in drawing and in tracking the result."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

import numpy as np

from engines.common import Array
from engines.common.rates import at_times
from realtime_dub.face.alignment import LOWER, mouth_width, neutral_shape
from realtime_dub.face.types import TrackedFrame
from realtime_dub.mouth import registry
from realtime_dub.mouth.contract import MouthPatch
from realtime_dub.mouth.engine import Engine
from realtime_dub.mouth.mouthbank.generator import MouthbankGenerator

NAME = "true-motion"


class TrueMotionGenerator(MouthbankGenerator):
    """Draws ``motions`` (T, 168, 3), known at ``times_ns`` (T,), and never hands the live mouth back."""

    motions: ClassVar[Array]
    times_ns: ClassVar[Array]

    def generate(self, tracked: TrackedFrame, at_ns: int) -> MouthPatch | None:
        person = self.people.current
        if person.bank.neutral is None:
            person.bank.observe(tracked)
        motion = at_times(self.motions, self.times_ns, np.array([at_ns]))[0]
        return person.renderer.render(tracked, motion, 1.0, at_ns)


ENGINE = Engine(
    NAME,
    "the motion that was measured",
    "benchmarks.true_motion:TrueMotionGenerator",
    registry.engine("mouthbank").options,
    identity=registry.engine("mouthbank").identity,
)


@contextmanager
def driven_by(shapes: Array, times_ns: Array) -> Iterator[None]:
    """Here the engine ``true-motion`` moves as canonical shapes (T, 478, 3) do at ``times_ns`` (T,); NaN is rest."""
    neutral = neutral_shape(np.asarray(shapes[np.isfinite(shapes).all((1, 2))], np.float32))
    TrueMotionGenerator.motions = np.nan_to_num((shapes[:, LOWER] - neutral[LOWER]) / mouth_width(neutral))
    TrueMotionGenerator.times_ns = times_ns
    registry.ENGINES[NAME] = "benchmarks.true_motion:ENGINE"
    try:
        yield
    finally:
        del registry.ENGINES[NAME]
