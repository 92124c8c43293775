"""A still picture, repeated at a constant rate."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from realtime_dub.errors import EndOfStream, MediaError
from realtime_dub.media import Frame, Image, VideoInfo, ticks_to_ns
from realtime_dub.sources.opening import read_bytes

JPEG_SCAN, JPEG_END = b"\xff\xda", b"\xff\xd9"


class ImageSource:
    """Gives the same array again and again, ``fps`` times per second of media time, without end.

    A turn in the EXIF data is applied. What could be read of a JPEG that is cut short is given, and said in ``notes``.
    """

    def __init__(self, path: str | Path, fps: float | Fraction = 25) -> None:
        self.path = Path(path)
        self.fps = Fraction(fps).limit_denominator(1001)
        self.notes: list[str] = []
        self._image: Image | None = None
        self._seq = 0

    def open(self) -> VideoInfo:
        """Read the picture. Raises MediaError."""
        data = read_bytes(self.path, "choose a picture")
        # From memory: imread ends the process over a name that is no UTF-8. A JPEG that is cut short is given an end,
        # without which it would be refused here.
        image = cv2.imdecode(np.frombuffer(data + 2 * JPEG_END, np.uint8), cv2.IMREAD_COLOR)
        if image is None:
            raise MediaError("cannot read", f"{self.path}: it is no picture", "choose a JPEG, PNG, WebP, BMP or TIFF")
        # Bytes that look like markers do not occur inside a scan, so the last scan of a whole file has an end after it.
        if data[:2] == b"\xff\xd8" and data.rfind(JPEG_END) < data.rfind(JPEG_SCAN):
            self.notes.append(f"{self.path.name} is cut short: the part that is missing is grey")
        self._image = np.ascontiguousarray(image, np.uint8)
        height, width = image.shape[:2]
        return VideoInfo(width, height, self.fps, live=False, name=self.path.name)

    def read(self) -> Frame:
        image = self._image
        if image is None:
            raise EndOfStream
        period = 1 / self.fps
        pts_ns = ticks_to_ns(self._seq, period)
        frame = Frame(image, pts_ns, self._seq, ticks_to_ns(self._seq + 1, period) - pts_ns, still=True)
        self._seq += 1
        return frame

    def close(self) -> None:
        self._image = None
