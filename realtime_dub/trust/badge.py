"""The badge in the picture: whoever watches is told that a mouth is made, whatever program they watch with.

Two letters, "AI", in a frame of their own, and a word beside them, in a corner. The letters are the acronym of the
common label of the European Commission's code of practice on marking and labelling (June 2026); the drawing is ours. It
is drawn once for a size of frames. Laying it over a frame costs a hundredth of a millisecond, copying the frame first,
where it is somebody else's, a tenth at 720p. Only its box is another picture: encoders that take a frame's planes over
convert no more than that.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from realtime_dub.media import NS, Box, Image
from realtime_dub.trust.badge_style import USUAL, BadgeStyle, Place

HOLD_NS = 3 * NS  # that it stays after the last dubbed frame: in a pause of the voice it does not blink
LEAST_HEIGHT = 14  # pixels: below, letters cannot be read
MOST_SHARE = 0.9  # of the frame's width, or only the letters are shown; of its height for these
GROUND = 190  # opacity of what is behind the letters, of 255
_NO_MASK: Any = None


class Badge:
    """Lays the badge over the frames of one output, in order."""

    def __init__(self, style: BadgeStyle = USUAL) -> None:
        self._style = style
        self._size: tuple[int, int] | None = None  # width, height of the frames that it is drawn for
        self._drawn: _Drawn | None = None
        self._until_ns: int | None = None
        self._last: Image | None = None

    def over(self, image: Image, at_ns: int, dubbed: bool, own: bool) -> tuple[Image, Box | None]:
        """``image`` (height, width, 3) with the badge, and where it is; as it came, and None, where there is none.

        ``at_ns``: its time, which rises; ``dubbed``: a mouth was made for it; ``own``: it may be written into, because
        nobody else has it.
        """
        if dubbed:
            self._until_ns = at_ns + HOLD_NS
        drawn = self._of(image) if self._is_due(at_ns) else None
        if drawn is None:
            return image, None
        if image is not self._last:  # one that is shown again has it
            image = image if own else _copied(image)
            drawn.lay(image)
            self._last = image
        return image, drawn.box

    def box_in(self, image: Image) -> Box | None:
        """Where it is laid in frames of this size; None: nowhere."""
        drawn = None if self._style.when == "off" else self._of(image)
        return None if drawn is None else drawn.box

    def _is_due(self, at_ns: int) -> bool:
        if self._style.when == "corner":
            return self._until_ns is not None and at_ns <= self._until_ns
        return self._style.when == "always"

    def _of(self, image: Image) -> _Drawn | None:
        height, width = image.shape[:2]
        if self._size != (width, height):
            self._size, self._drawn = (width, height), _draw(self._style, width, height)
        return self._drawn


def _copied(image: Image) -> Image:
    import cv2

    return np.asarray(cv2.copyTo(image, _NO_MASK), np.uint8)  # NumPy's copy would stop all of Python


class _Drawn:
    """A badge for one size of frames."""

    def __init__(self, box: Box, image: Image, alpha: npt.NDArray[np.uint8]) -> None:
        """``image`` (height, width, 3) BGR and ``alpha`` (height, width), both of the box's size."""
        self.box = box
        share = alpha[..., None].astype(np.uint16)
        # A level is (a * badge + (255 - a) * frame) / 255; + 128 and >> 8 are within one level of it, and cheap.
        self._kept = np.repeat(256 - (share * 256 + 127) // 255, 3, 2)
        self._added = image.astype(np.uint16) * (256 - self._kept) + 128

    def lay(self, out: Image) -> None:
        """Into ``out``, in place."""
        x, y, width, height = self.box
        region = out[y : y + height, x : x + width]
        region[:] = (region * self._kept + self._added) >> 8


def _draw(style: BadgeStyle, width: int, height: int) -> _Drawn | None:
    """None for frames that have no room for the two letters."""
    size = max(LEAST_HEIGHT, round(height * style.percent / 100))
    for word in (style.word, ""):
        image, alpha = _picture(size, word)
        tall, wide = alpha.shape
        if wide <= width * MOST_SHARE and tall <= height * MOST_SHARE:
            return _Drawn(_corner(style.place, (wide, tall), (width, height)), image, alpha)
    return None


def _corner(place: Place, size: tuple[int, int], frame: tuple[int, int]) -> Box:
    """Even, so that it covers whole blocks of colour; a third of its height from the edges, where there is room."""
    margin = size[1] // 3
    spare = frame[0] - size[0], frame[1] - size[1]
    near = min(margin, spare[0] // 2), min(margin, spare[1] // 2)
    x = near[0] if place.endswith("left") else spare[0] - near[0]
    y = near[1] if place.startswith("top") else spare[1] - near[1]
    return x - x % 2, y - y % 2, size[0], size[1]


def _picture(height: int, word: str) -> tuple[Image, npt.NDArray[np.uint8]]:
    """White letters on dark ground, drawn four times as large: BGR and opacity, of an even size."""
    from PIL import Image as Pictures
    from PIL import ImageDraw, ImageFont

    tall = (height + height % 2) * 4
    font = ImageFont.load_default(tall * 0.62)
    gap, line = tall // 5, max(4, tall // 16)
    sign = round(font.getlength("AI")) + 2 * gap
    wide = sign + (2 * gap + round(font.getlength(word)) if word else 0)
    wide += -wide % 8
    ground, letters = (Pictures.new("L", (wide, tall)) for _ in range(2))
    ImageDraw.Draw(ground).rounded_rectangle((0, 0, wide - 1, tall - 1), tall // 5, fill=255)
    pen = ImageDraw.Draw(letters)
    inset = line * 3 // 2
    pen.rounded_rectangle((inset, inset, sign - inset, tall - 1 - inset), tall // 8, outline=255, width=line)
    pen.text((sign // 2, tall // 2), "AI", 255, font, "mm", stroke_width=line // 4)
    pen.text((sign + gap, tall // 2), word, 255, font, "lm")
    small = [np.asarray(each.resize((wide // 4, tall // 4), Pictures.Resampling.BOX)) for each in (ground, letters)]
    alpha = np.maximum(small[0].astype(np.uint16) * GROUND // 255, small[1]).astype(np.uint8)
    return np.repeat((small[1].astype(np.uint16) * 235 // 255 + 16).astype(np.uint8)[..., None], 3, 2), alpha
