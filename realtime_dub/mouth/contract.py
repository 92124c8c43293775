"""The contract of a mouth generator, and what the pipeline hands from generator to composite.

A generator hears one stream of sound and looks at one person. All its state is in itself; weights are shared.
The pipeline calls, on one engine thread and in this order: ``hear`` for every new block of sound, ``observe`` for
tracked frames as time allows, ``generate`` once per output tick. ``compose`` of a patch runs on another thread.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from realtime_dub.blend.patch import MouthPatch
from realtime_dub.face.types import FaceTracker, TrackedFrame
from realtime_dub.media import Blendshapes, Samples

__all__ = [
    "VOICE_RATE",
    "GivesBlendshapes",
    "ImplausibleMouth",
    "Latency",
    "MouthGenerator",
    "MouthPatch",
    "SupportsCalibration",
    "blendshapes_of",
]

VOICE_RATE = 16_000  # Hz, mono: what every generator hears


@dataclass(frozen=True, slots=True)
class Latency:
    """What a generator declares before it starts, for the latency budget."""

    look_ahead_ns: int  # sound needed from after the instant of the picture
    front_end_ns: int  # half an analysis window, and whatever the front end delays
    compute_ns: int  # expected p95 of one ``generate``, until measured


class ImplausibleMouth(Exception):
    """What a generator made for an instant can be no mouth, and is not shown. The next one may be again."""


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
        """The mouth for the voice at ``at_ns`` on this frame. None = the live mouth stays (silence, no face).

        The way from the live mouth to the dubbed one and back is the generator's: it begins and ends near None.
        Raises ImplausibleMouth. A BundleError, here and from the others, ends it: no call will be any better.
        """

    def close(self) -> None:
        """Release what is held. Idempotent."""


@runtime_checkable
class GivesBlendshapes(Protocol):
    """A generator that can tell, beside the picture, how a character's mouth would move."""

    def blendshapes(self) -> Blendshapes:
        """The mouth of the last ``generate``, faded in and out like it, whether or not there was a face to draw on."""


@runtime_checkable
class SupportsCalibration(Protocol):
    """A generator that gains from seeing its mouths drawn before the first one is shown."""

    def calibrate(self, pictures: Sequence[TrackedFrame], tracker: FaceTracker) -> None:
        """After the person was observed, where there is time: some of the pictures, and a tracker to read drafts."""


def blendshapes_of(generator: MouthGenerator) -> Blendshapes | None:
    """The mouth of the last ``generate``; None from a generator that has no such thing."""
    return generator.blendshapes() if isinstance(generator, GivesBlendshapes) else None
