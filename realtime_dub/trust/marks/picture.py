"""Puts the mark into frames, cheaply enough for each frame of a live film.

What is added to each pixel is kept, whole numbers, and is added as it is. How much it may be at a place, by what is to
be seen there, is looked at anew in one strip of the frame after another.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from realtime_dub.media import ALL, Coded, Image, Part
from realtime_dub.trust.marks import tile
from realtime_dub.trust.marks.payload import Payload
from realtime_dub.trust.marks.tile import LINES
from realtime_dub.trust.marks.waves import KEY

STRIPS, EVERY = (
    12,
    4,
)  # at most so many; one is looked at every few frames: each call may have to wait for other threads
LARGE, SHARE = 1280 * 720, 1 / 2  # of frames of more pixels so much is marked, the rows in the middle: it is enough
LEAST, MOST = 0.4, 2.6  # deviation of the mark, levels: on what is plain, in what is full of detail
PLAIN, BY_DETAIL = 1.3, 0.65  # so many levels of detail are none; levels for each one above
_EDGE = 10.0
_ONE = 64  # of whole numbers that stand for fractions
_PARTS = 2  # of the rows that are marked, for which what is added is made one after the other
_FADE = 3  # frames that begin a stretch have half of the mark

_NONE: Any = 0.0
_NO_MASK: Any = None  # of which OpenCV's types do not know
Shorts = npt.NDArray[np.int16]
Added = npt.NDArray[np.uint8]
_Addends = list[Added]  # (height, width) what makes pixels brighter, what makes them darker


class PictureMarker:
    """Marks the frames of one stream with ``payload``. Not for two threads at once."""

    def __init__(self, payload: Payload, key: str = KEY) -> None:
        self._tile = tile.tile(payload, key)
        self._sheet: _Sheet | None = None
        self._since = 0  # frames of this stretch so far
        self._signed: tuple[int, int] = (1, 0)

    def begin(self, at_ns: int, image: Image) -> None:
        """Before a frame is marked: what is added to it, by its instant and its detail."""
        size = (image.shape[1], image.shape[0])
        if self._sheet is None or self._sheet.size != size:
            self._sheet = _Sheet(tile.laid(self._tile, *size))
        self._sheet.look(image)
        sign, level = tile.turn(at_ns)
        self._signed = sign, min(level, 1) if self._since < _FADE else level
        self._since += 1

    @property
    def looks(self) -> bool:
        """The next frame is looked at, for which all of it is needed."""
        return self._sheet is None or self._sheet.looks

    def rest(self) -> None:
        """A frame leaves unmarked: the next stretch begins anew."""
        self._since = 0

    def image(self, image: Image, own: bool = False, parts: Sequence[Part] = (ALL,)) -> Image:
        """A marked copy of what ``begin`` was told; ``own``: nobody else has it, so it is marked itself.

        ``parts``: of one that is its own, no more is marked; none has a pixel of another.
        """
        return np.asarray(self._added(image, image if own else None, parts), np.uint8)

    def coded(self, coded: Coded) -> Coded:
        """The same in its luma; chroma is as it was."""
        luma, *chroma = coded.planes
        return Coded((self._added(luma), chroma[0], chroma[1]), coded.hd, coded.full_range)

    def _added(self, image: Any, into: Any = None, parts: Sequence[Part] = (ALL,)) -> Any:
        sign, level = self._signed
        if not level or self._sheet is None:
            return image
        up, down = self._sheet.levels[level - 1][::sign]
        if into is None and image.ndim == 2 and self._sheet.whole:
            marked = cv2.add(image, up)
            return cv2.subtract(marked, down, dst=marked)
        marked = cv2.copyTo(image, _NO_MASK) if into is None else into  # NumPy's copy would stop all of Python
        for part in parts:
            self._sheet.add(marked, up, down, part)
        return marked


class _Sheet:
    """What is added to frames of one size, at both levels.

    It is kept for one channel, and made three in small parts: more would drive from the processor's cache what others
    work on, which costs live mouths more than the mark itself.
    """

    def __init__(self, laid: npt.NDArray[np.float32]) -> None:
        height, width = laid.shape
        self.size = (width, height)
        rows = height if width * height <= LARGE else round(height * SHARE)
        self.band = (height - rows) // 2, (height + rows) // 2  # the rows that are marked
        self._laid: Shorts = np.asarray(np.rint(laid * _ONE), np.int16)
        self.levels: list[_Addends] = [[_zeros(height, width) for _ in range(2)] for _ in range(2)]
        self._three = _zeros(-(-rows // _PARTS), width, 3)
        shrunk = shrunk_by(height)
        self._rows = -(-rows // STRIPS // shrunk) * shrunk  # of a strip: shrunk by whole numbers, which is quicker
        self._strips, self._next = -(-rows // self._rows), 0
        self._frames = 0

    def add(self, into: npt.NDArray[np.uint8], up: Added, down: Added, part: Part) -> None:
        """To ``part`` of one channel or of three."""
        rows, columns = part
        top, bottom, _ = rows.indices(self.size[1])
        top, bottom = max(top, self.band[0]), min(bottom, self.band[1])
        if into.ndim == 2:
            here = into[top:bottom, columns]
            cv2.add(here, up[top:bottom, columns], dst=here)
            cv2.subtract(here, down[top:bottom, columns], dst=here)
            return
        for first in range(top, bottom, len(self._three)):
            last = min(first + len(self._three), bottom)
            here, three = into[first:last, columns], self._three[: last - first, columns]
            cv2.cvtColor(up[first:last, columns], cv2.COLOR_GRAY2BGR, dst=three)
            cv2.add(here, three, dst=here)
            cv2.cvtColor(down[first:last, columns], cv2.COLOR_GRAY2BGR, dst=three)
            cv2.subtract(here, three, dst=here)

    @property
    def whole(self) -> bool:
        """All rows are marked."""
        return self.band == (0, self.size[1])

    @property
    def looks(self) -> bool:
        return (self._frames + 1) % EVERY == 0

    def look(self, image: Image) -> None:
        """The first time at all of the frame, then now and then at a strip."""
        due, self._frames = self._frames == 0 or self.looks, self._frames + 1
        if not due:
            return
        for _ in range(1 if self._frames > 1 else self._strips):
            self._strip(image, self.band[0] + self._next * self._rows)
            self._next = (self._next + 1) % self._strips

    def _strip(self, image: Image, top: int) -> None:
        bottom = min(top + self._rows, self.band[1])
        share = strength(image, top, bottom)
        for addends, part in zip(self.levels, (0.5, 1.0), strict=True):
            change = cv2.multiply(self._laid[top:bottom], share, scale=part / _ONE / _ONE, dtype=cv2.CV_16S)
            up, down = (one[top:bottom] for one in addends)
            cv2.add(change, _NONE, dst=up, dtype=cv2.CV_8U)  # what is below 0 is 0 there
            cv2.subtract(_NONE, change, dst=down, dtype=cv2.CV_8U)


def _zeros(*shape: int) -> npt.NDArray[np.uint8]:
    return np.zeros(shape, np.uint8)


def strength(image: Image, top: int, bottom: int) -> Shorts:
    """(bottom - top, width): the mark's deviation in rows of ``image``, in 1 / 64 level.

    Detail as long as the mark's waves hides them: it is the mean distance from what is around, on a small copy
    (contrast masking, as in Watson 1993, by one number a place). A strong edge counts no more than ``_EDGE``: beside it
    may be what is plain.
    """
    height, width = image.shape[:2]
    shrunk = shrunk_by(height)
    first, last = max(0, top - 3 * shrunk), min(height, bottom + 3 * shrunk)
    rows = cv2.extractChannel(image[first:last], 1)  # green is most of luma
    size = max(2, width // shrunk), max(2, (last - first) // shrunk)
    small = cv2.resize(rows, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    detail = cv2.blur(np.minimum(cv2.absdiff(small, cv2.blur(small, (5, 5))), _EDGE), (5, 5))
    share = np.clip((LEAST + BY_DETAIL * (detail - PLAIN)) * _ONE, LEAST * _ONE, MOST * _ONE)
    wide = cv2.resize(share.astype(np.int16), (width, last - first), interpolation=cv2.INTER_LINEAR)
    return np.asarray(wide[top - first : bottom - first], np.int16)


def shrunk_by(height: int) -> int:
    """So that a copy has about 144 lines, of which the mark's waves are 3.5 to 10 long."""
    return max(1, round(2 * height / LINES))
