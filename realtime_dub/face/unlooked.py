"""The tracker of engines that need no live face: it looks for none."""

from __future__ import annotations

from realtime_dub.face.types import TrackedFrame
from realtime_dub.media import Frame

NOT_LOOKED_FOR = "not looked for"


class Unlooked:
    """Keeps the contract of :class:`~realtime_dub.face.types.FaceTracker`."""

    def track(self, frame: Frame) -> TrackedFrame:
        return TrackedFrame(frame, None, NOT_LOOKED_FOR)

    def close(self) -> None:
        """Nothing is held."""
