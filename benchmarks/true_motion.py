"""A generator that is told how the mouth moves: what is lost then is lost in drawing and in tracking the result.

Two engines of it: one draws the true motion, the ceiling of every net; one the clip's mean shape, a frozen mouth.
"""

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

NAME, FROZEN = "true-motion", "frozen-mouth"


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


def _engine(name: str, summary: str) -> Engine:
    usual = registry.engine("mouthbank")
    return Engine(
        name, summary, "benchmarks.true_motion:TrueMotionGenerator", options=usual.options, identity=usual.identity
    )


ENGINE = _engine(NAME, "the motion that was measured")
FROZEN_ENGINE = _engine(FROZEN, "the mean of the motion that was measured")
ENGINES = {NAME: "benchmarks.true_motion:ENGINE", FROZEN: "benchmarks.true_motion:FROZEN_ENGINE"}


@contextmanager
def driven_by(shapes: Array, times_ns: Array, name: str = NAME) -> Iterator[None]:
    """Here the engine ``name`` moves as canonical shapes (T, 478, 3) do at ``times_ns`` (T,); NaN is rest.

    ``FROZEN`` stands in their mean shape.
    """
    known = np.asarray(shapes[np.isfinite(shapes).all((1, 2))], np.float32)
    neutral = neutral_shape(known)
    drawn = np.broadcast_to(known.mean(0), shapes.shape) if name == FROZEN else shapes
    TrueMotionGenerator.motions = np.nan_to_num((drawn[:, LOWER] - neutral[LOWER]) / mouth_width(neutral))
    TrueMotionGenerator.times_ns = times_ns
    registry.ENGINES[name] = ENGINES[name]
    try:
        yield
    finally:
        del registry.ENGINES[name]
