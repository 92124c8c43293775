"""What the loops ask of parts that have no contract elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from realtime_dub.blend.composite import Reads
from realtime_dub.face.types import TrackedFrame
from realtime_dub.media import Image, Samples
from realtime_dub.mouth.contract import Generated


class Compositor(Protocol):
    """Puts a mouth into a frame, or a frame into its place."""

    def compose(self, tracked: TrackedFrame, patch: Generated, weight: float, reads: Reads | None = None) -> Image:
        """A new image; a patch is carried over where the pose changed. ``weight`` 0..1; ``reads``: no more of it has to
        be set.
        """


class Resampler(Protocol):
    """Audio at another rate, in pieces."""

    def process(self, samples: Samples) -> Samples:
        """(n, channels) -> (m, channels), m as far as it can be known yet."""


class ContactSheet(Protocol):
    """Source, mouth and result side by side."""

    def add(self, source: Image, face: Any, result: Image, seq: int) -> None: ...

    def write(self, seal: Callable[[bytes], bytes]) -> bool: ...
