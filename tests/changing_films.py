"""Films that change in the middle: one stream, two kinds of picture."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from realtime_dub.media import Image

PART = 30  # frames of each half, 1.2 s


def halves(height: int, width: int, left: tuple[int, int, int], right: tuple[int, int, int]) -> Image:
    """The left half of one colour (BGR), the right half of another: what is stretched or torn shows."""
    image = np.empty((height, width, 3), np.uint8)
    image[:, : width // 2], image[:, width // 2 :] = left, right
    return image


def write_changing(path: Path, *parts: tuple[Image, dict[str, object]], codec: str = "libx264") -> Path:
    """One stream with the pictures of each part, each encoded anew, its parameter sets within.

    What a part says beside its picture is set on its encoder: ``sample_aspect_ratio``, ``pix_fmt``, ``rate``,
    ``x264-params``.
    """
    with av.open(str(path), "w") as out:
        stream, at, packets = None, Fraction(0), []
        for image, settings in parts:
            encoder = _encoder(codec, image, settings)
            if stream is None:
                stream = out.add_stream(codec, rate=25, options={"x264-params": "log=-1"})
                stream.height, stream.width = image.shape[:2]
                stream.pix_fmt = encoder.pix_fmt
                stream.time_base = Fraction(1, 90_000)
            rate = int(settings.get("rate", 25))
            for k in range(PART):
                frame = av.VideoFrame.from_ndarray(image, format="bgr24").reformat(format=encoder.pix_fmt)
                frame.pts, frame.time_base = round(at * rate) + k, Fraction(1, rate)
                packets += encoder.encode(frame)
            packets += encoder.encode()
            at += Fraction(PART, rate)
        for packet in packets:
            packet.stream = stream
            out.mux(packet)
    return path


def _encoder(codec: str, image: Image, settings: dict[str, object]) -> av.VideoCodecContext:
    encoder = av.CodecContext.create(codec, "w")
    encoder.height, encoder.width = image.shape[:2]
    encoder.pix_fmt, encoder.framerate = str(settings.get("pix_fmt", "yuv420p")), int(settings.get("rate", 25))
    encoder.time_base = 1 / encoder.framerate
    x264 = {"qp": "12", "bf": "0", "x264-params": str(settings.get("x264-params", "log=-1"))}
    encoder.options = x264 if codec == "libx264" else {"qscale": "2"}
    if "sample_aspect_ratio" in settings:
        encoder.sample_aspect_ratio = settings["sample_aspect_ratio"]
    return encoder


def joined(path: Path, write: Callable[[Path, int], Path]) -> Path:
    """Two files one behind the other, as transport streams may be."""
    parts = [write(path.with_name(f"{k}{path.suffix}"), k) for k in range(2)]
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path
