"""Decoded frames as people are meant to see them, in BGR."""

from __future__ import annotations

import functools
from typing import Any

import av
import cv2
import numpy as np
from av.video.format import VideoFormat
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, Interpolation, VideoReformatter

from realtime_dub.errors import MediaError
from realtime_dub.media import BLACK, Coded, Colour, Image, Plane
from realtime_dub.sources.base import Room
from realtime_dub.sources.geometry import UPRIGHT, Aspects, Geometry, orientation_of, square, turned
from realtime_dub.sources.tone import Kind, Toner, kind_of_light

UNSPECIFIED_MATRIX = 2  # AVCOL_SPC_UNSPECIFIED, which PyAV gives as a plain number
HD = (1,)  # AVCOL_SPC_BT709
SD = (5, 6)  # AVCOL_SPC_BT470BG, AVCOL_SPC_SMPTE170M, which are one matrix
PLANAR = ("yuv420p", "yuvj420p")
UNKNOWN_MATRICES = (14, 15)  # AVCOL_SPC_ICTCP, AVCOL_SPC_IPT_C2 (Dolby Vision's own): swscale takes them for BT.601
# swscale's plain mode is off by up to 5 levels on saturated colours, and with half the chroma every picture comes out
# a level darker. Into planes both together are quick; into BGR itself they take three times that, for the same levels.
INTERPOLATION = Interpolation.BILINEAR | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
SCALING = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT


def untagged_matrix(frame: Any) -> Colorspace:
    """The matrix of a picture that names none: BT.709 above standard definition, BT.601 below, as players take it."""
    return Colorspace.ITU709 if frame.width >= 1280 or frame.height > 576 else Colorspace.ITU601


def is_full_range(frame: Any) -> bool:
    """Whether a coded YUV picture uses 0..255; of RGB the question says nothing."""
    full_range = frame.color_range == ColorRange.JPEG or frame.format.name.startswith("yuvj")
    return full_range and not frame.format.is_rgb


@functools.cache
def has_alpha(format: str) -> bool:
    """Whether pixels of this format may be transparent."""
    return format == "pal8" or any(component.is_alpha for component in VideoFormat(format).components)


class ToBgr:
    """Turns the frames of a stream into BGR: full range, upright, with square pixels, opaque, for an ordinary screen.

    The matrix (BT.601, BT.709, BT.2020), the range, the curve of the light, the shape of the pixels and the display
    matrix are each frame's own. What is transparent shows ``background``. Pictures have the sizes that the frames have.
    """

    def __init__(self, stream: Any, decoder: Any, background: Colour = BLACK) -> None:
        self._aspects = Aspects(stream, decoder)
        self._background = background
        self._reformatter, self._from_toned = VideoReformatter(), VideoReformatter()
        self._toners: dict[Kind, Toner] = {}
        self._may_be_empty = decoder.name == "rawvideo"  # many write a fourth byte of 0 there and mean nothing by it

    def geometry(self, frame: Any) -> Geometry:
        return Geometry(square(frame.width, frame.height, self._aspects.of(frame)), orientation_of(frame))

    def __call__(self, frame: Any, room: Room | None = None) -> tuple[Image, Geometry]:
        """``room``: where the picture is made, unless it has to be turned.

        Raises MediaError for colours that cannot be told, or pixels of a kind that cannot be converted.
        """
        try:
            return self._converted(frame, room)
        except (av.FFmpegError, OSError, ValueError) as error:
            what = f"this video, of the kind {frame.format.name}"
            raise MediaError("cannot convert the pixels of", what, "convert it to H.264 first") from error

    def coded(self, frame: Any, geometry: Geometry) -> Coded | None:
        """The frame's own planes, where its picture is seen as it is coded."""
        size = frame.width, frame.height
        if (
            frame.format.name not in PLANAR
            or geometry != Geometry(size, UPRIGHT)
            or frame.width % 2
            or frame.height % 2
        ):
            return None
        matrix = _matrix(frame) or frame.colorspace
        if matrix not in (*HD, *SD) or kind_of_light(frame) is not None:
            return None
        if any(each.line_size < each.width for each in frame.planes):  # lines from the bottom up
            return None
        luma, *chroma = (_plane(each) for each in frame.planes)
        return Coded((luma, chroma[0], chroma[1]), matrix in HD, is_full_range(frame))

    def _converted(self, frame: Any, room: Room | None) -> tuple[Image, Geometry]:
        geometry = self.geometry(frame)
        transparent = has_alpha(frame.format.name)
        layout = "bgra" if transparent else "bgr24"
        if (kind := kind_of_light(frame)) is None:
            planar = not transparent and not frame.format.is_rgb
            picture = self._reformat(frame, geometry, "gbrp" if planar else layout)
        else:
            planes = self._reformat(frame, geometry, "gbrap16le" if transparent else "gbrp16le")
            toned = self._toners.setdefault(kind, Toner(kind))(planes)
            picture = self._from_toned.reformat(toned, format=layout, interpolation=INTERPOLATION)
        if picture.format.name == "gbrp":
            image = merged(picture, room if geometry.orientation == UPRIGHT else None)
        else:
            image = picture.to_ndarray()
        if transparent:
            empty = self._may_be_empty and not image[..., 3].any()
            image = image[..., :3] if empty else over(image, self._background)
        return turned(image, geometry.orientation), geometry

    def _reformat(self, frame: Any, geometry: Geometry, layout: str) -> Any:
        if frame.colorspace in UNKNOWN_MATRICES:
            raise MediaError("unknown colours in", "this video", "convert it to BT.709 or BT.2020 first")
        unscaled = geometry.scaled == (frame.width, frame.height)
        return self._reformatter.reformat(
            frame,
            *geometry.scaled,
            format=layout,
            src_colorspace=_matrix(frame),
            interpolation=INTERPOLATION if unscaled else SCALING,
            threads=1,  # FFmpeg's own would be woken for every frame: a fifth more processor time at 640x480
        )


def merged(picture: Any, room: Room | None = None) -> Image:
    """A picture in planes of green, blue and red (gbrp) as BGR, in ``room``."""
    green, blue, red = (_plane(each) for each in picture.planes)
    into = None if room is None else room(picture.height, picture.width)
    return np.asarray(cv2.merge([blue, green, red], dst=into), np.uint8)


def _plane(plane: Any) -> Plane:
    """A view of the frame's own memory."""
    rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
    return rows[: plane.height, : plane.width]


def _matrix(frame: Any) -> Colorspace | None:
    """What to take a frame's own matrix for; None = as it says."""
    if frame.colorspace != UNSPECIFIED_MATRIX:
        return None
    kind = kind_of_light(frame)
    return Colorspace.BT2020 if kind and kind[1] == ColorPrimaries.BT2020 else untagged_matrix(frame)


def over(bgra: Image, background: Colour) -> Image:
    """(height, width, 4) on a plain ground, (height, width, 3); within a level of the exact mixture."""
    bgr, alpha = cv2.cvtColor(bgra, cv2.COLOR_BGRA2BGR), np.ascontiguousarray(bgra[..., 3])
    if alpha.min() == 255:
        return np.asarray(bgr, np.uint8)
    opacity = cv2.merge([alpha] * 3)
    holes = np.arange(255, -1, -1)[:, None] * np.array(background)
    ground = cv2.LUT(opacity, np.round(holes / 255).astype(np.uint8)[:, None])
    return np.asarray(cv2.add(cv2.multiply(bgr, opacity, scale=1 / 255), ground), np.uint8)
