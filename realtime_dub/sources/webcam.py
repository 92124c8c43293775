"""A webcam through OpenCV.

Not run on a camera so far: the request for MJPG, size and rate, for pictures as they are coded, the errno of a busy
device, and a real unplugging were written from OpenCV's and V4L2's documentation. The reading, stamping, loss and
return are tested with OpenCV's own capture of a video file in the camera's place, the formats with pictures that were
made in them.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np

from realtime_dub.clock import Clock
from realtime_dub.errors import DeviceError
from realtime_dub.fitting import Size
from realtime_dub.media import BLACK, NS, Coded, Colour, Image, VideoInfo
from realtime_dub.paths import is_number
from realtime_dub.sources.base import Turn, at_once
from realtime_dub.sources.camera_formats import Unpack, unpacker
from realtime_dub.sources.cameras import camera_paths
from realtime_dub.sources.newest import Grabbed, LinkLost, NewestFrame, NewestSource

SLOW = 0.8  # of the rate that a camera is asked for: with less, a smaller size shows more
TORN = 5  # pictures in a row that may be undecodable, as MJPG over a bad cable is, before the camera counts as lost
LINUX = sys.platform.startswith("linux")


class Capture(Protocol):
    """The part of cv2.VideoCapture that is used."""

    def isOpened(self) -> bool: ...
    def set(self, propId: int, value: float) -> bool: ...
    def get(self, propId: int) -> float: ...
    def grab(self) -> bool: ...
    def retrieve(self) -> tuple[bool, Any]: ...
    def release(self) -> None: ...


def node(device: str) -> str:
    """The name of a camera's node: "0" is /dev/video0 on Linux."""
    return f"/dev/video{device}" if LINUX and is_number(device) else device


def check_there(device: str) -> None:
    """Raises DeviceError where there is no such node, as far as that is to be seen without opening one."""
    if LINUX and not Path(node(device)).exists():
        there = camera_paths()
        advice = f"choose one of {', '.join(there)}" if there else "there is none at all: connect one, or use demo"
        raise DeviceError("no such camera:", node(device), advice)


def open_camera(device: str) -> Capture:
    """The camera by index or path. Raises DeviceError where there is no such node."""
    if not LINUX:
        return cv2.VideoCapture(int(device) if is_number(device) else device)
    check_there(device)
    return cv2.VideoCapture(node(device), cv2.CAP_V4L2)


class CameraLink:
    """One camera, connected as often as needed."""

    def __init__(
        self,
        device: str,
        size: Size,
        fps: float,
        clock: Clock,
        opener: Callable[[str], Capture],
        smaller: Size | None = None,
        keep_coded: bool = True,
    ) -> None:
        """``smaller``: asked for where the camera is too slow at ``size``; ``keep_coded``: see ``unpacker``."""
        self._device, self._size, self._fps, self._smaller = device, size, fps, smaller
        self._clock = clock
        self._opener = opener
        self.turn: Turn = at_once
        self._spare_ns = round(NS / fps / 2)  # for which a picture may wait until it is decoded
        self.note = ""  # that it was too slow
        self._keep_coded = keep_coded
        self._capture: Capture | None = None
        self._unpack: Unpack | None = None  # what OpenCV does not convert itself

    def connect(self) -> None:
        capture = self._opener(self._device)
        if not capture.isOpened():
            capture.release()
            raise no_picture(self._device)
        # The pixel format comes first: a driver offers sizes and rates by format, and raw video is slow over USB.
        capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
        self._ask(capture, self._size)
        told = capture.get(cv2.CAP_PROP_FPS)
        if self._smaller is not None and 1 <= told < SLOW * self._fps:
            large, small = (f"{width}x{height}" for width, height in (self._size, self._smaller))
            self.note = f"the camera gives {told:.0f} frames a second at {large}: it was asked for {small}"
            self._ask(capture, self._smaller)
        capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        self._unpack = self._as_it_comes(capture)
        self._capture = capture

    def _ask(self, capture: Capture, size: Size) -> None:
        capture.set(cv2.CAP_PROP_FRAME_WIDTH, size[0])
        capture.set(cv2.CAP_PROP_FRAME_HEIGHT, size[1])
        capture.set(cv2.CAP_PROP_FPS, self._fps)

    def _as_it_comes(self, capture: Capture) -> Unpack | None:
        """Ask for pictures as the camera codes them, where that is known and of even size. Last: others undo it."""
        sides = (capture.get(each) for each in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
        even = all(side > 0 and side % 2 == 0 for side in sides)
        unpack = unpacker(capture.get(cv2.CAP_PROP_FOURCC), self._keep_coded) if LINUX and even else None
        return unpack if unpack is not None and capture.set(cv2.CAP_PROP_CONVERT_RGB, 0) else None

    def grab(self) -> Grabbed:
        for _ in range(TORN):
            if self._capture is None or not self._capture.grab():
                break
            stamp_ns = self._clock.now_ns()  # before the picture is decoded
            with self.turn(stamp_ns + self._spare_ns):
                unpacked = self._retrieved(self._capture)
            if unpacked is not None:
                return Grabbed(*unpacked, stamp_ns)
        raise LinkLost

    def _retrieved(self, capture: Capture) -> tuple[Image, Coded | None] | None:
        """The grabbed picture, decoded; None where it is torn."""
        found, image = capture.retrieve()
        return self._unpacked(image) if found and image is not None else None

    def _unpacked(self, image: Any) -> tuple[Image, Coded | None] | None:
        return (coloured(image), None) if self._unpack is None else self._unpack(image)

    def release(self) -> None:
        if self._capture is not None:
            self._capture.release()
            self._capture = None

    def rate(self) -> Fraction:
        """What the driver says, or what was asked for where it says nothing that can be."""
        told = self._capture.get(cv2.CAP_PROP_FPS) if self._capture else 0.0
        return Fraction(told if 1 <= told <= 240 else self._fps).limit_denominator(1001)


def coloured(image: Any) -> Image:
    """Infrared cameras give grey."""
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_GRAY2BGR) if image.ndim == 2 else image, np.uint8)


def no_picture(device: str) -> DeviceError:
    """Why a camera that is there gives nothing, as far as the system tells."""
    try:
        os.close(os.open(node(device), os.O_RDWR | os.O_NONBLOCK))
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EPERM):
            return DeviceError(
                "you may not use camera", node(device), "add yourself to the group video and log in again"
            )
        if error.errno == errno.EBUSY:
            return DeviceError("camera is busy:", node(device), "close the program that uses it")
    return DeviceError("no picture from camera", node(device), "close other programs that use it, or choose another")


class WebcamSource(NewestSource):
    """The newest picture of a camera, stamped when the driver hands it over: exposure and transfer lie before that,
    as long as ``late_ns`` where it is known.

    The camera is asked for ``width`` x ``height`` at ``fps`` in MJPG, and for ``smaller`` where it is too slow for
    that; ``info`` says what it gives. On Linux its pictures keep their planes (``camera_formats.py``). Unplugged, the
    last picture goes on, ``stale``, until the camera is back under the same name (see ``newest.NewestFrame``).
    """

    def __init__(
        self,
        device: str,
        width: int,
        height: int,
        fps: float,
        clock: Clock,
        opener: Callable[[str], Capture] = open_camera,
        background: Colour = BLACK,
        smaller: Size | None = None,
        keep_coded: bool = True,
        late_ns: int = 0,
    ) -> None:
        self.device = device
        self._clock, self._background, self._late_ns = clock, background, late_ns
        self._link = CameraLink(device, (width, height), fps, clock, opener, smaller, keep_coded)
        super().__init__()

    @property
    def turn(self) -> Turn:
        """Within which a picture is decoded."""
        return self._link.turn

    @turn.setter
    def turn(self, turn: Turn) -> None:
        self._link.turn = turn

    @property
    def notes(self) -> list[str]:
        return [self._link.note] if self._link.note else []

    def open(self) -> VideoInfo:
        """Connect and wait for the first picture. Raises DeviceError."""
        self._link.connect()
        try:
            first = self._link.grab()
        except LinkLost:
            self._link.release()
            raise no_picture(self.device) from None
        fps = self._link.rate()
        options = self._background, self._late_ns
        self._newest = NewestFrame(self._link, self._clock, "webcam", fps, self._closing, *options)
        self._newest.start(first)
        height, width = first.image.shape[:2]
        hd = None if first.coded is None else first.coded.hd
        return VideoInfo(width, height, fps, live=True, name=f"camera {node(self.device)}", hd=hd)
