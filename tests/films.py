"""Films for the tests of what is read: each frame carries its number as a grey level, or shows given pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace

from realtime_dub.media import Image
from realtime_dub.sources.to_bgr import INTERPOLATION

MILLISECONDS = Fraction(1, 1000)


def numbered(width: int, height: int) -> Callable[[int], Image]:
    """Frame ``k`` is flat, of the level that ``number`` reads back."""
    return lambda k: np.full((height, width, 3), 20 + 4 * (k % 50), np.uint8)


def number(image: Image) -> int:
    return round((float(image.mean()) - 20) / 4)


def write_film(
    path: Path,
    times_ms: Iterable[int],
    pictures: Callable[[int], Image],
    *,
    matrix: Colorspace = Colorspace.ITU601,
    tag: int | None = None,
    colour_range: ColorRange = ColorRange.MPEG,
    rotation: int = 0,
    codec: str = "libx264",
    sound_ms: int = 0,
    container: dict[str, str] | None = None,
    qp: str = "12",
    pix_fmt: str = "yuv420p",
) -> Path:
    """A film whose frames have these times; with ``sound_ms``, silence of that length from 0 on.

    ``tag`` is written as the stream's matrix (AVCOL_SPC), with the range; None leaves both out.
    """
    with av.open(str(path), "w", options=container or {}) as out:
        first = pictures(0)
        stream = out.add_stream(codec, rate=25, options={"qp": qp} if codec == "libx264" else {})
        stream.height, stream.width = first.shape[:2]
        stream.pix_fmt = pix_fmt
        stream.time_base = stream.codec_context.time_base = MILLISECONDS
        if tag is not None:
            stream.codec_context.colorspace, stream.codec_context.color_range = tag, colour_range
        if rotation:
            stream.set_display_rotation(rotation)
        sound = out.add_stream("aac", rate=16_000, layout="mono") if sound_ms else None
        for k, at_ms in enumerate(times_ms):
            frame = av.VideoFrame.from_ndarray(pictures(k), format="bgr24").reformat(
                format=pix_fmt, dst_colorspace=matrix, dst_color_range=colour_range, interpolation=INTERPOLATION
            )
            frame.pts, frame.time_base = at_ms, MILLISECONDS
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
        if sound is not None:
            samples = np.zeros((1, 16 * sound_ms), np.float32)
            frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 16_000, 0
            out.mux(sound.encode(frame))
            out.mux(sound.encode())
    return path


def steady(count: int, fps: int = 25) -> list[int]:
    """Frame times of a constant rate, ms."""
    return [k * 1000 // fps for k in range(count)]
