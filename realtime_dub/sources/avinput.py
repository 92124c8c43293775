"""What the file and the network source share: the picture stream of a container, its times, and its way to BGR."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import av
import cv2
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

from realtime_dub.errors import MediaError
from realtime_dub.media import NS, Image, ticks_to_ns
from realtime_dub.sources.opening import reason
from realtime_dub.sources.stream_choice import choose_film

UNTAGGED_RATE = Fraction(25)
UNSPECIFIED_MATRIX = 2  # AVCOL_SPC_UNSPECIFIED, which PyAV gives as a plain number
# swscale's plain mode is off by up to 5 levels on saturated colours, and with half the chroma every picture comes out
# a level darker. Both together cost 1.1 ms at 640x480.
INTERPOLATION = Interpolation.BILINEAR | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
TURNS = {90: cv2.ROTATE_90_COUNTERCLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_CLOCKWISE}


def open_container(where: str, shown: str, **options: Any) -> Any:
    """``av.open`` of an address for reading; files are for ``opening``. Raises MediaError that names it ``shown``."""
    try:
        # Tags in an unknown encoding must not keep a film from playing.
        return av.open(where, metadata_errors="replace", **options)
    except (av.FFmpegError, OSError, ValueError) as error:
        raise MediaError("cannot read", f"{shown}: {reason(error)}", "choose a video that plays") from error


def picture_stream(container: Any, shown: str, number: int | None = None) -> Any:
    """The picture of that number, from 1, else the default one; never a cover. Raises MediaError."""
    return choose_film(container, number, shown)


def nominal_rate(stream: Any) -> Fraction:
    """Frames per second as far as the container knows; 25 where it does not or claims nonsense (a tick rate)."""
    for rate in (stream.average_rate, stream.guessed_rate):
        if rate and 1 <= rate <= 240:
            return Fraction(rate)
    return UNTAGGED_RATE


def start_ns(container: Any) -> int:
    """The file's time 0: the earliest start of its picture and sound streams, in the container's own time.

    Every reader of the file takes this off its pts, so that an offset between picture and sound survives. It is
    FFmpeg's ``start_time`` of the container, without its rounding to microseconds.
    """
    streams = [s for s in (*container.streams.video, *container.streams.audio) if s.start_time is not None]
    return min((ticks_to_ns(s.start_time, s.time_base) for s in streams), default=0)


def decode(container: Any, stream: Any, damaged: Callable[[Exception], None]) -> Iterator[Any]:
    """Every frame that can be decoded. Damage is told to ``damaged`` and does not stop what comes after it.

    Where the container itself cannot be read on, what the decoder still holds comes out, then the error is raised.
    """

    def unpack(packet: Any) -> list[Any]:
        try:
            return list(stream.decode(packet))
        except av.error.EOFError:  # flushed before
            return []
        except av.FFmpegError as error:
            damaged(error)
            return []

    try:
        for packet in container.demux(stream):
            yield from unpack(packet)
    except av.FFmpegError:
        yield from unpack(None)
        raise


def untagged_matrix(frame: Any) -> Colorspace:
    """The matrix of a picture that names none: BT.709 above standard definition, BT.601 below, as players take it."""
    return Colorspace.ITU709 if frame.width >= 1280 or frame.height > 576 else Colorspace.ITU601


class ToBgr:
    """Turns decoded frames into BGR, full range, upright, all of the size of the first.

    The matrix (BT.601, BT.709, BT.2020) and the range are each frame's own tags. No transfer curve is converted:
    HDR pictures come out flat. Pixels are taken as square.
    """

    def __init__(self, first: Any) -> None:
        self._reformatter = VideoReformatter()
        self._coded = (first.width, first.height)
        self.rotation = round(first.rotation / 90) * 90 % 360  # degrees counter-clockwise
        full_range = first.color_range == ColorRange.JPEG or first.format.name.startswith("yuvj")
        self.full_range = full_range and not first.format.is_rgb  # of RGB it says nothing
        self.width, self.height = self._coded[:: -1 if self.rotation % 180 else 1]

    def __call__(self, frame: Any) -> Image:
        matrix = untagged_matrix(frame) if frame.colorspace == UNSPECIFIED_MATRIX else None
        bgr = self._reformatter.reformat(
            frame, *self._coded, format="bgr24", src_colorspace=matrix, interpolation=INTERPOLATION
        ).to_ndarray()
        turned = cv2.rotate(bgr, TURNS[self.rotation]) if self.rotation else bgr
        return np.ascontiguousarray(turned, np.uint8)  # FFmpeg pads the rows of odd widths


class RisingTimes:
    """Places a file's own times on a time line that only rises, as little changed as that allows.

    A time that is missing is one period after its predecessor; one that does not rise a quarter of a period after it,
    which leaves those that follow where they are. A jump back of more than a second (files strung together) moves the
    time line: everything from there on is shifted.
    """

    def __init__(self, period_ns: int) -> None:
        self._period_ns = period_ns
        self._shift_ns = 0
        self._last_ns: int | None = None
        self._resume_ns: int | None = None

    def resume_at(self, when_ns: int) -> None:
        """The next time, whatever it is, is placed at ``when_ns``: the file starts anew."""
        self._resume_ns = when_ns

    def place(self, own_ns: int | None) -> int:
        """Where the frame with this own time belongs; None = it has none."""
        placed_ns = self._place(own_ns)
        self._last_ns = placed_ns
        return placed_ns

    def _place(self, own_ns: int | None) -> int:
        last_ns, resume_ns, self._resume_ns = self._last_ns, self._resume_ns, None
        if own_ns is None:
            follow_ns = 0 if last_ns is None else last_ns + self._period_ns
            return follow_ns if resume_ns is None else resume_ns
        if resume_ns is None and last_ns is not None and own_ns + self._shift_ns < last_ns - NS:
            resume_ns = last_ns + self._period_ns
        if resume_ns is not None:
            self._shift_ns = resume_ns - own_ns
        placed_ns = own_ns + self._shift_ns
        if last_ns is not None and placed_ns <= last_ns:
            placed_ns = last_ns + self._period_ns // 4
        return placed_ns
