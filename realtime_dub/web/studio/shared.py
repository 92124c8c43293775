"""What the sessions of a server have in common."""

from __future__ import annotations

from typing import Protocol

from realtime_dub.pipeline.precedence import Precedence
from realtime_dub.web.config import ServeConfig
from realtime_dub.web.leavings import Leavings
from realtime_dub.web.rtc.decoding import Decoders
from realtime_dub.web.rtc.forwarder.forwarder import Forwarder
from realtime_dub.web.studio.avatars import KeptAvatars
from realtime_dub.web.studio.metrics import Metrics
from realtime_dub.web.studio.recordings import Recordings
from realtime_dub.web.studio.room import Rooms
from realtime_dub.web.studio.uploads import KeptUploads


class Shared(Protocol):
    """The studio, as a session knows it."""

    config: ServeConfig
    uploads: KeptUploads
    avatars: KeptAvatars
    recordings: Recordings
    rooms: Rooms
    metrics: Metrics
    leavings: Leavings
    precedence: Precedence
    decoders: Decoders
    forwarder: Forwarder

    def frame_pixels(self) -> int:
        """Of the frames of each who is dubbed at present."""

    def holds_no_more(self) -> str | None:
        """Why there cannot be one more dubbed picture of a channel; None: there can."""

    def has_seat(self, role: str) -> bool:
        """For one more of that role."""
