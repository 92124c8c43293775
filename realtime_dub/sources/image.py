"""A still picture, repeated at a constant rate."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from realtime_dub.errors import EndOfStream
from realtime_dub.media import BLACK, Colour, Frame, Image, VideoInfo, ticks_to_ns
from realtime_dub.sources.stills import bytes_of, read_still


class ImageSource:
    """Gives the same array again and again, ``fps`` times per second of media time, without end.

    It is upright, opaque on ``background``, and of ordinary colours (``stills.read_still``). What could be read of a
    picture that is cut short is given, and said in ``notes``.
    """

    def __init__(
        self, path: str | Path, fps: float | Fraction = 25, background: Colour = BLACK, enough: int | None = None
    ) -> None:
        """``enough``: see :func:`stills.read_still`."""
        self.path = Path(path)
        self.fps = Fraction(fps).limit_denominator(1001)
        self.notes: list[str] = []
        self._background, self._enough = background, enough
        self._image: Image | None = None
        self._seq = 0

    def open(self) -> VideoInfo:
        """Read the picture. Raises MediaError."""
        data = bytes_of(self.path)
        self._image, note = read_still(data, str(self.path), self._background, self._enough)
        if note:
            self.notes.append(f"{self.path.name} {note}")
        height, width = self._image.shape[:2]
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
