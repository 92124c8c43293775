"""The contract of a mouth generator, and what the pipeline hands from generator to composite.

A generator hears one stream of sound and looks at one person. All its state is in itself; weights are shared.
The pipeline calls, on one engine thread and in this order: ``hear`` for every new block of sound, ``observe`` for
tracked frames as time allows, ``generate`` once per output tick. ``compose`` of a patch runs on another thread.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from realtime_dub.face.types import Pose, TrackedFrame
from realtime_dub.media import Image, Samples

VOICE_RATE = 16_000  # Hz, mono: what every generator hears


@dataclass(frozen=True, slots=True)
class Latency:
    """What a generator declares before it starts, for the latency budget."""

    look_ahead_ns: int  # sound needed from after the instant of the picture
    front_end_ns: int  # half an analysis window, and whatever the front end delays
    compute_ns: int  # expected p95 of one ``generate``, until measured


@dataclass(frozen=True, slots=True, eq=False)
class MouthPatch:
    """A mouth ready to be put into a frame.

    ``image`` is pixel-aligned with the frame it was made for: its top left corner lies at ``box[:2]`` there.
    To show it on a later frame it is carried over by the change of ``pose``.
    """

    image: Image  # (h, w, 3) BGR
    alpha: npt.NDArray[np.uint8]  # (h, w) 0 = frame, 255 = patch; zero on the border
    box: tuple[int, int, int, int]  # x, y, width, height in the frame
    pose: Pose  # of the face it was made for
    at_ns: int  # the instant of the voice that this mouth speaks


class MouthGenerator(Protocol):
    """Turns sound and the live face into mouths."""

    name: str
    bundle: str  # name and version of what it runs, for the statistics

    def latency(self) -> Latency:
        """Declared before the start."""

    def hear(self, samples: Samples, pts_ns: int) -> None:
        """Sound, 16 kHz, shape (n,), without holes; ``pts_ns`` is its first sample's capture."""

    def heard_until_ns(self) -> int:
        """``generate`` may be asked for instants up to this one."""

    def observe(self, tracked: TrackedFrame) -> None:
        """A look at the person, to learn from. Cheap; not every frame need be shown."""

    def generate(self, tracked: TrackedFrame, at_ns: int) -> MouthPatch | None:
        """The mouth for the voice at ``at_ns`` on this frame. None = the live mouth stays (silence, no face)."""

    def close(self) -> None:
        """Release what is held. Idempotent."""
