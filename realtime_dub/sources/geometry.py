"""How a decoded frame is meant to be seen: the shape of its pixels, which way up it is, mirrored or not."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import cv2
import numpy as np
from av.filter import Graph
from av.sidedata.sidedata import SideDataContainer

from realtime_dub.fitting import Size
from realtime_dub.media import Image

SQUARE = Fraction(1)
STEPS = 3600  # columns that a probe gives for square pixels
WIDTH_BY_SHAPE = {"w": f"round({STEPS}*sar)", "h": "2", "flags": "neighbor", "eval": "frame"}
_NOTHING = object()
ODDEST = 8  # a shape beyond 1:8 is damage
Orientation = tuple[bool, bool, bool]  # rows and columns exchanged; then left and right; then up and down
SIDE_DATA: Any = SideDataContainer  # PyAV's types leave out what it is made of
UPRIGHT: Orientation = (False, False, False)
TURNS: dict[Orientation, Callable[[Image], Any]] = {
    (False, True, False): lambda image: cv2.flip(image, 1),
    (False, False, True): lambda image: cv2.flip(image, 0),
    (False, True, True): lambda image: cv2.rotate(image, cv2.ROTATE_180),
    (True, False, False): cv2.transpose,
    (True, True, False): lambda image: cv2.rotate(image, cv2.ROTATE_90_CLOCKWISE),
    (True, False, True): lambda image: cv2.rotate(image, cv2.ROTATE_90_COUNTERCLOCKWISE),
    (True, True, True): lambda image: cv2.flip(cv2.transpose(image), -1),
}


@dataclass(frozen=True, slots=True)
class Geometry:
    """What becomes of a frame: it is scaled to ``scaled``, where its pixels are square, then turned."""

    scaled: Size
    orientation: Orientation

    @property
    def size(self) -> Size:
        """Of the picture that is seen."""
        return self.scaled[::-1] if self.orientation[0] else self.scaled


def turned(image: Image, orientation: Orientation) -> Image:
    """Upright, rows without gaps."""
    turn = TURNS.get(orientation)
    return np.ascontiguousarray(image if turn is None else turn(image), np.uint8)


def orientation_of(frame: Any) -> Orientation:
    """The nearest of the eight that the frame's display matrix comes to.

    The matrix takes (x, y) to (a x + c y, b x + d y), y downwards. FFmpeg's angle alone does not know of mirrors.
    """
    try:
        # Not the frame's own, which holds the frame that holds it: such a circle stays until Python looks for it.
        matrix = SIDE_DATA(frame).get("DISPLAYMATRIX")
    except ValueError:  # beside it there is data of a kind that PyAV has no name for
        return _of_angle(frame.rotation)
    if matrix is None:
        return UPRIGHT
    a, b, _, c, d = struct.unpack("=5i", bytes(matrix)[:20])
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return False, a < 0, d < 0
    return True, c < 0, b < 0


def square(width: int, height: int, aspect: Fraction) -> Size:
    """The size with square pixels of a picture whose pixels are ``aspect`` times as wide as high: nothing is lost."""
    if aspect == 1:
        return width, height
    if aspect > 1:
        return max(2, round(width * aspect / 2) * 2), height
    return width, max(2, round(height / aspect / 2) * 2)


class Aspects:
    """The shape of a stream's pixels, frame by frame.

    The container's word holds until the coded pictures themselves change. PyAV tells their shape of the decoder, which
    is ahead of the frames that it has given; so where that changes, each frame is asked with a filter until it follows.
    """

    def __init__(self, stream: Any, decoder: Any) -> None:
        self._stream, self._decoder = stream, decoder
        self._coded: Fraction | None = None
        self._aspect = SQUARE
        self._said: object = _NOTHING  # by the decoder, where it was like the pictures
        self._probe = Probe()

    def of(self, frame: Any) -> Fraction:
        """Width to height of the frame's pixels."""
        if self._coded is None:
            self._coded = self._asked(frame)
            self._aspect = _sane(self._stream.sample_aspect_ratio or self._coded)
        elif (said := self._decoder.sample_aspect_ratio) != self._said:  # nearly never: fractions take their time
            alike = _alike(_sane(said), self._coded)
            self._said = said if alike else _NOTHING
            coded = self._coded if alike else self._asked(frame)
            if not _alike(coded, self._coded):
                self._coded = self._aspect = coded
        return self._aspect

    def _asked(self, frame: Any) -> Fraction:
        try:
            return self._probe(frame)
        except av.FFmpegError:  # pixels, or tags of colours, that the filter does not know
            return _sane(self._decoder.sample_aspect_ratio)


class Probe:
    """The shape of a frame's pixels as the frame says it, which PyAV does not tell: a filter's size is made of it."""

    def __init__(self) -> None:
        self._graph: Any = None
        self._layout: object = None

    def __call__(self, frame: Any) -> Fraction:
        layout = frame.width, frame.height, frame.format.name
        if layout != self._layout:
            self._graph, self._layout = filter_graph(frame, "scale", WIDTH_BY_SHAPE)
        self._graph.push(frame)
        return _sane(Fraction(self._graph.pull().width, STEPS).limit_denominator(100))


def filter_graph(frame: Any, name: str, options: dict[str, str], time_base: Fraction = SQUARE) -> tuple[Any, object]:
    """One of FFmpeg's filters for frames like this one, and what it was made for."""
    graph = Graph()
    source = graph.add(
        "buffer",
        video_size=f"{frame.width}x{frame.height}",
        pix_fmt=frame.format.name,
        time_base=str(time_base),
        pixel_aspect="0/1",
    )
    graph.link_nodes(source, graph.add(name, **options), graph.add("buffersink")).configure()
    return graph, (frame.width, frame.height, frame.format.name)


def _sane(aspect: Fraction | None) -> Fraction:
    """Square where there is none or nonsense."""
    return aspect if aspect and Fraction(1, ODDEST) <= aspect <= ODDEST else SQUARE


def _alike(one: Fraction, other: Fraction) -> bool:
    return abs(one - other) * STEPS < 2


def _of_angle(degrees: int) -> Orientation:
    """Of a counter-clockwise angle."""
    orientations: dict[int, Orientation] = {90: (True, False, True), 180: (False, True, True), 270: (True, True, False)}
    return orientations.get(round(degrees / 90) * 90 % 360, UPRIGHT)
