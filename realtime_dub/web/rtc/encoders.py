"""aiortc's encoders with bounds of ours: it has no setting for its bitrates."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from aiortc.codecs import h264, vpx

from realtime_dub.web.rtc.priority import give_way, steps_for

LOWEST_BITRATE = 150_000
LESS, MORE = 0.85, 1.3  # a new bitrate is taken where it is so far from the old one


class Apart:
    """Encodes large frames on a thread of its own, which gives way."""

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self._thread: ThreadPoolExecutor | None = None

    def encode(self, frame: Any, force_keyframe: bool = False) -> Any:
        steps = steps_for(frame.width * frame.height)
        if self._thread is None and not steps:
            return super().encode(frame, force_keyframe)  # type: ignore[misc]
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, "video-encoder", give_way, (steps,))
        return self._thread.submit(super().encode, frame, force_keyframe).result()  # type: ignore[misc]

    def close(self) -> None:
        """With the frame in hand. Idempotent."""
        if self._thread is not None:
            self._thread.shutdown(wait=False)


class _Ranged:
    """An encoder's ``target_bitrate`` within bounds of ours, and in steps.

    aiortc begins a new encoder, and so sends a key frame, for every change of more than a tenth: eight times in the
    first ten seconds while the browser's estimate rises.
    """

    def __init__(self, start: int, most: int) -> None:
        super().__init__()
        self._most = most
        self._rate = min(start, most)

    @property
    def target_bitrate(self) -> int:
        return self._rate

    @target_bitrate.setter
    def target_bitrate(self, bitrate: int) -> None:
        wanted = max(LOWEST_BITRATE, min(bitrate, self._most))
        if wanted in (LOWEST_BITRATE, self._most) or not LESS <= wanted / self._rate <= MORE:
            self._rate = wanted


class RangedVp8(Apart, _Ranged, vpx.Vp8Encoder):
    """VP8 with our bitrates."""


class RangedH264(Apart, _Ranged, h264.H264Encoder):
    """H.264 with our bitrates."""


class WholeVp8(RangedVp8):
    """A frame's packet as it is: it is cut into payloads once for all connections."""

    @classmethod
    def _packetize(cls, buffer: bytes, picture_id: int) -> list[bytes]:
        return [buffer]


class WholeH264(RangedH264):
    """Likewise, its units with start codes before them."""

    @classmethod
    def _packetize(cls, packages: Iterable[bytes]) -> list[bytes]:
        return [b"".join(b"\0\0\0\1" + unit for unit in packages)]


Payloads = tuple[tuple[bytes, bytes], ...]


def cut_vp8(data: bytes) -> Payloads:
    """Of a frame: of each the descriptor's first two bytes, and what is behind the frame's number."""
    return tuple((each[:2], each[4:]) for each in vpx.Vp8Encoder._packetize(data, 0))


def cut_h264(data: bytes) -> Payloads:
    """Of a frame's units with start codes: each payload in its second part."""
    units = h264.H264Encoder._split_bitstream(data)
    return tuple((b"", each) for each in h264.H264Encoder._packetize(units))


def cut_opus(data: bytes) -> Payloads:
    """It is one."""
    return ((b"", data),)


WHOLE: dict[str, Callable[[int, int], Any]] = {"video/vp8": WholeVp8, "video/h264": WholeH264}
CUTS: dict[str, Callable[[bytes], Payloads]] = {"video/vp8": cut_vp8, "video/h264": cut_h264, "audio/opus": cut_opus}
NUMBERED = {"video/vp8"}  # a frame's number in its connection is in each payload
ENCODERS = {"video/vp8": RangedVp8, "video/h264": RangedH264}
