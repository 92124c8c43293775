"""Pictures as a camera of V4L2 gives them: in YUV, packed or in planes, or as JPEG.

Each becomes planes of 4:2:0 in BT.601 and 16..235, which outputs take over (``i420.py``), and the same in BGR. Of 4:2:2
the chroma of two lines is averaged; JPEG's 0..255 becomes 16..235. Both are rounded once, to the nearest level.

What a UVC camera of YUYV or NV12 sends is BT.601 with 16..235 unless it says otherwise, which OpenCV does not ask; it
takes it for that as well.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import av
import cv2
import numpy as np
from av.video.reformatter import VideoReformatter

from realtime_dub.bounds import MOST_PIXELS
from realtime_dub.i420 import coded_of, image_of, parts
from realtime_dub.media import Coded, Image, Plane

LUMA = 219 / 255, 16.0  # factor and offset of a level, from 0..255 to 16..235
CHROMA = 224 / 255, 128 - 128 * 224 / 255
BEGINS = b"\xff\xd8"  # a JPEG picture
_NO_MASK: Any = None  # of which OpenCV's types do not know

# A picture as it came, its bytes in the shape that OpenCV gives it; None = it cannot be decoded.
Unpacked = tuple[Image, Coded | None]
Unpack = Callable[[Plane], Unpacked | None]


def unpacker(fourcc: float, keep_coded: bool = True) -> Unpack | None:
    """What turns raw pictures of this format into BGR and planes; None for a format that OpenCV should convert.

    ``fourcc`` as OpenCV tells it. ``keep_coded``: JPEG is decoded once more to keep its planes than OpenCV's own way to
    BGR alone costs, which pays where an output encodes them; raw formats pay in any case.
    """
    name = int(fourcc).to_bytes(4, "little", signed=False).decode("latin-1") if 0 < fourcc < 2**32 else ""
    if name in ("MJPG", "JPEG"):
        return Jpeg() if keep_coded else None
    return RAW.get(name)


def packed(luma: int) -> Unpack:
    """Of 4:2:2 in one plane (height, width, 2), blue before red; ``luma``: which of two bytes is luma."""

    def unpack(raw: Plane) -> Unpacked | None:
        height, width = raw.shape[:2]
        if raw.ndim != 3 or height % 2 or width % 2:
            return None
        planes, pairs = np.empty((height * 3 // 2, width), np.uint8), np.empty((height, width), np.uint8)
        light, *colours = parts(planes)
        cv2.split(raw, [light, pairs] if luma == 0 else [pairs, light])  # into new arrays it takes ten times as long
        both = pairs.reshape(height, width // 2, 2)
        cv2.split(cv2.addWeighted(both[0::2], 0.5, both[1::2], 0.5, 0), colours)
        return image_of(planes), coded_of(planes)

    return unpack


def half_packed(first: int) -> Unpack:
    """Of 4:2:0 with both chroma planes in one (height * 3 / 2, width); ``first``: 0 = blue, 1 = red."""

    def unpack(raw: Plane) -> Unpacked | None:
        if (size := _size_of(raw)) is None:
            return None
        width, height = size
        planes = np.empty((height * 3 // 2, width), np.uint8)
        light, *colours = parts(planes)
        cv2.copyTo(raw[:height], _NO_MASK, light)
        cv2.split(raw[height:].reshape(height // 2, width // 2, 2), colours[::-1] if first else colours)
        return image_of(planes), coded_of(planes)

    return unpack


def in_planes(first: int) -> Unpack:
    """Of 4:2:0 in three planes (height * 3 / 2, width); ``first``: 0 = blue, 1 = red."""

    def unpack(raw: Plane) -> Unpacked | None:
        if _size_of(raw) is None:
            return None
        planes = np.ascontiguousarray(raw)
        coded = coded_of(planes)
        if first:
            light, red, blue = coded.planes
            planes = np.concatenate([light, blue.reshape(-1, planes.shape[1]), red.reshape(-1, planes.shape[1])])
        return image_of(planes), coded_of(planes)

    return unpack


class Jpeg:
    """A camera's JPEG pictures, one after another. They need no Huffman tables of their own."""

    def __init__(self) -> None:
        self._decoder: Any = av.CodecContext.create("mjpeg", "r")
        self._decoder.thread_count = 1  # several hold pictures back
        self._decoder.options = {"max_pixels": str(MOST_PIXELS)}
        self._reformatter = VideoReformatter()

    def __call__(self, raw: Plane) -> Unpacked | None:
        coded = raw.tobytes()
        if not coded.startswith(BEGINS):  # the decoder would take what is left of one for a picture
            return None
        try:
            frames = self._decoder.decode(av.Packet(coded))
        except av.FFmpegError:
            return None
        if not frames or frames[0].is_corrupt:
            return None
        return self._unpacked(frames[0])

    def _unpacked(self, frame: Any) -> Unpacked:
        if frame.width % 2 or frame.height % 2:
            return np.asarray(frame.to_ndarray(format="bgr24"), np.uint8), None
        if frame.format.name not in ("yuvj420p", "yuvj422p"):
            frame = self._reformatter.reformat(frame, format="yuvj420p", threads=1)
        planes = np.empty((frame.height * 3 // 2, frame.width), np.uint8)
        light, *colours = parts(planes)
        sources = [_rows(plane) for plane in frame.planes]
        cv2.convertScaleAbs(sources[0], light, *LUMA)
        for source, colour in zip(sources[1:], colours, strict=True):
            _narrow(source, colour)
        return image_of(planes), coded_of(planes)


def _narrow(source: Plane, colour: Plane) -> None:
    """A chroma plane of 0..255, of half the height or of all of it, as one of 16..240 and half the height."""
    factor, offset = CHROMA
    if source.shape == colour.shape:
        cv2.convertScaleAbs(source, colour, factor, offset)
    else:
        cv2.addWeighted(source[0::2], factor / 2, source[1::2], factor / 2, offset, colour)


def _size_of(raw: Plane) -> tuple[int, int] | None:
    """Width and height of a picture in 4:2:0; None where there is none of even size."""
    if raw.ndim != 2 or raw.shape[0] % 3 or raw.shape[1] % 2:
        return None
    return raw.shape[1], raw.shape[0] * 2 // 3


def _rows(plane: Any) -> Plane:
    """A view of a frame's plane (height, width)."""
    return np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: plane.height, : plane.width]


RAW: dict[str, Unpack] = {
    "YUYV": packed(luma=0),
    "UYVY": packed(luma=1),
    "NV12": half_packed(first=0),
    "NV21": half_packed(first=1),
    "YU12": in_planes(first=0),
    "YV12": in_planes(first=1),
}
