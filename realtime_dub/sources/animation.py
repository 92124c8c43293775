"""Pictures that move and that FFmpeg does not decode: animated WebP and AVIF, read with Pillow."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

from realtime_dub.errors import EndOfStream, MediaError
from realtime_dub.media import BLACK, MS, NS, Colour, Frame, Image, VideoInfo
from realtime_dub.sources.stills import ADVICE, DAMAGES, NO_PICTURE, bytes_of, opened, to_bgr

UNTIMED_MS, LEAST_MS = 100, 11  # pictures shown for less than the least are shown as browsers do it


class AnimationSource:
    """Gives the pictures of ``path`` with the times that they state, opaque on ``background``; with ``loop``, again."""

    def __init__(self, path: str | Path, loop: bool = False, background: Colour = BLACK) -> None:
        self.path = Path(path)
        self.loop = loop
        self.notes: list[str] = []
        self._background = background
        self._lock = threading.Lock()
        self._pictures: Iterator[tuple[Image, int]] = iter(())
        self._ahead: tuple[Image, int] | None = None
        self._seq, self._at_ns = 0, 0

    def open(self) -> VideoInfo:
        """Read the file and decode its first picture. Raises MediaError."""
        self._data = _uncovered(bytes_of(self.path))
        try:
            count = opened(self._data, str(self.path)).n_frames
            self._pictures = self._decoded()
            image, duration_ns = self._ahead = next(self._pictures)
        except (*DAMAGES, MemoryError, StopIteration) as error:
            raise MediaError("cannot read", f"{self.path}: {NO_PICTURE}", ADVICE) from error
        rate = Fraction(NS, duration_ns).limit_denominator(1001)
        fps = min(max(rate, Fraction(1)), Fraction(240))
        height, width = image.shape[:2]
        return VideoInfo(width, height, fps, False, self.path.name, None if self.loop else count)

    def read(self) -> Frame:
        with self._lock:
            if self._ahead is None:
                raise EndOfStream
            image, duration_ns = self._ahead
            self._ahead = self._following()
            frame = Frame(image, self._at_ns, self._seq, duration_ns)
            self._seq, self._at_ns = self._seq + 1, self._at_ns + duration_ns
            return frame

    def close(self) -> None:
        with self._lock:
            self._ahead, self._pictures = None, iter(())

    def _following(self) -> tuple[Image, int] | None:
        try:
            following = next(self._pictures, None)
            if following is None and self.loop:
                self._pictures = self._decoded()
                following = next(self._pictures, None)
            return following
        except (*DAMAGES, MemoryError):
            self.notes.append(f"{self.path.name} is damaged or cut short: {self._seq + 1} frames were decoded")
            return None

    def _decoded(self) -> Iterator[tuple[Image, int]]:
        picture = opened(self._data, str(self.path))
        for number in range(picture.n_frames):
            picture.seek(number)
            picture.load()
            shown_ms = picture.info.get("duration", 0)
            shown_ms = shown_ms if shown_ms >= LEAST_MS else UNTIMED_MS
            yield to_bgr(picture, str(self.path), self._background), round(shown_ms * MS)


def _uncovered(data: bytes) -> bytes:
    """A WebP whose pictures are all opaque says so, though they need not cover the whole: it is to be asked anyway."""
    if data[:4] != b"RIFF" or data[12:16] != b"VP8X":
        return data
    return data[:20] + bytes([data[20] | 0x10]) + data[21:]
