"""What the file and the network source share: the picture stream of a container, its frames and their times."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import av

from realtime_dub.bounds import MOST_PIXELS
from realtime_dub.errors import MediaError
from realtime_dub.media import NS, ticks_to_ns
from realtime_dub.paths import reason
from realtime_dub.sources.deinterlacing import progressive
from realtime_dub.sources.stream_choice import choose_film, films

UNTAGGED_RATE = Fraction(25)
TRANSPARENT = {"vp8": "libvpx", "vp9": "libvpx-vp9"}  # FFmpeg's own decoders of these leave transparency out


def open_container(where: str, shown: str, **options: Any) -> Any:
    """``av.open`` of an address for reading; files are for ``opening``. Raises MediaError that names it ``shown``."""
    try:
        # Tags in an unknown encoding must not keep a film from playing.
        return av.open(where, metadata_errors="replace", **options)
    except (av.FFmpegError, OSError, ValueError) as error:
        raise MediaError("cannot read", f"{shown}: {reason(error)}", "choose a video that plays") from error


def picture_stream(container: Any, shown: str, number: int | None = None) -> Any:
    """The picture of that number, from 1, else the default one; never a cover.

    Raises MediaError where there is none, or one that cannot be decoded or has too many pixels.
    """
    chosen = choose_film(container, number, shown)
    if chosen.codec_context is None:
        raise MediaError("cannot decode the video of", shown, "convert it to H.264 first")
    refuse_too_large(chosen.width, chosen.height, shown)
    return chosen


def refuse_too_large(width: int, height: int, shown: str) -> None:
    """Raises MediaError before anything is allocated for so large a picture."""
    if width * height > MOST_PIXELS:
        what = f"{shown}: {width}x{height} pixels are more than {MOST_PIXELS // 1_000_000} million"
        raise MediaError("cannot use", what, "make it smaller first")


def decoder_of(stream: Any) -> Any:
    """What decodes the stream: its own context, or one that gives the transparency that the container speaks of."""
    decoder, name = stream.codec_context, TRANSPARENT.get(stream.codec_context.name)
    if name is not None and stream.metadata.get("alpha_mode") == "1":
        decoder = av.CodecContext.create(name, "r")
    decoder.options = {"max_pixels": str(MOST_PIXELS)}  # of what the size becomes in the middle
    return decoder


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
    streams = [s for s in (*films(container), *container.streams.audio) if s.start_time is not None]
    return min((ticks_to_ns(s.start_time, s.time_base) for s in streams), default=0)


def decode(container: Any, stream: Any, decoder: Any, damaged: Callable[[Exception], None]) -> Iterator[Any]:
    """Every frame that can be decoded, none of them interlaced. Damage is told to ``damaged`` and does not stop what
    comes after it.

    Where the container itself cannot be read on, what the decoder still holds comes out, then the error is raised.
    """
    return progressive(_decode(container, stream, decoder, damaged), stream.time_base)


def _decode(container: Any, stream: Any, decoder: Any, damaged: Callable[[Exception], None]) -> Iterator[Any]:
    def unpack(packet: Any) -> list[Any]:
        try:
            return list(decoder.decode(packet))
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
