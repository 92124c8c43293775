"""The tracker of engines that need no live face: it looks for none."""

from __future__ import annotations

from realtime_dub.face.types import TrackedFrame
from realtime_dub.media import Frame

NOT_LOOKED_FOR = "not looked for"


def is_faceless(tracked: TrackedFrame) -> bool:
    """There is no face to dub, and one was looked for."""
    return tracked.face is None and tracked.why != NOT_LOOKED_FOR


class Unlooked:
    """Keeps the contract of :class:`~realtime_dub.face.types.FaceTracker`."""

    def track(self, frame: Frame) -> TrackedFrame:
        return TrackedFrame(frame, None, NOT_LOOKED_FOR)

    def close(self) -> None:
        """Nothing is held."""
