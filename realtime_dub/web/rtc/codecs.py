"""FFmpeg's decoders for what browsers send, with limits; the same ones here and in a process of their own."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import av

from realtime_dub.web.limits import MOST_CODED_PIXELS

RATE = 48_000  # of audio, Hz
LIBRARIES = {"vp8": "libvpx", "h264": "h264", "opus": "libopus"}  # by the codec's name in a session description
VIDEO_BASE, AUDIO_BASE = Fraction(1, 90_000), Fraction(1, RATE)


class CodedDecoder:
    """On the one thread that it is called on. What gets past our look at the headers FFmpeg refuses."""

    def __init__(self, name: str) -> None:
        """``name``: one of ``LIBRARIES``."""
        codec: Any = av.CodecContext.create(LIBRARIES[name], "r")
        codec.thread_count = 1
        codec.options = {"max_pixels": str(MOST_CODED_PIXELS)}
        if name == "opus":
            codec.format, codec.layout, codec.sample_rate = "s16", "stereo", RATE
        self._codec, self._base = codec, AUDIO_BASE if name == "opus" else VIDEO_BASE

    def decode(self, data: bytes, timestamp: int) -> list[Any]:
        """Frames of PyAV. Raises FFmpegError and others, for whatever a stranger sends."""
        packet = av.Packet(data)
        packet.pts, packet.time_base = timestamp, self._base
        found: list[Any] = self._codec.decode(packet)
        return found
