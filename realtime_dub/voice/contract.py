"""The contract of a voice that is made of the picture: of lips, and of what its maker knows beside them."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from realtime_dub.face.types import TrackedFrame
from realtime_dub.media import AudioBlock, VoiceInfo


@runtime_checkable
class VoiceFromVideo(Protocol):
    """A voice source (``sources/base.py``) that is shown the tracked frames.

    Its ``VoiceInfo.block_ns`` declares how long after a frame was shown the audio of its instant can be read: the
    budget of a live run holds that, the frame interval and the tracking. Its audio is on the clock of the frames'
    ``pts_ns``.
    """

    def open(self) -> VoiceInfo:
        """Load what is needed. Raises UserError where it cannot."""

    def watch(self, tracked: TrackedFrame) -> None:
        """The next frame, in order; on another thread than ``read``. Quick: what takes longer is ``read``'s to do."""

    def end(self) -> None:
        """No frame follows: ``read`` gives what is left, then raises EndOfStream. Idempotent."""

    def read(self) -> AudioBlock:
        """The next block, directly after the one before; waits for the frames that it takes. Raises EndOfStream."""

    def close(self) -> None:
        """Release everything; a blocked ``read`` raises EndOfStream. Idempotent."""
