"""Tells whether a face that had nothing before it still looks so; while it does, the net need not be asked.

What comes before a face changes how it looks, wherever it comes from; a mouth that talks looks now like this, now like
that, again and again. So for each part of the lower face it is kept how dark and how light it was where the net found
nothing. By what is beyond that nothing is covered: it is a reason to ask the net.
"""

from __future__ import annotations

import cv2
import numpy as np

from realtime_dub.blend.masks import Mask
from realtime_dub.face.crop import crop_about
from realtime_dub.face.types import Face, TrackedFrame
from realtime_dub.media import NS, Floats, Image
from realtime_dub.mouth.mouthbank.occlusion_stays import Share
from realtime_dub.mouth.mouthbank.occlusion_view import CENTRE, SIDE

PARTS = 24  # a side; what the net believes at once covers about one of them
SAMPLES = 48  # a side: few, as they are taken in every frame
BEYOND = 0.12  # of the skin's mean level: so much darker or lighter than ever, in one channel,
NEW = 2  # parts have to be
SHIFTED = 0.2  # of the way to its darkest and lightest neighbours a part may be: outlines tremble, a head turns
FORGETS = 0.04  # of the mean level, a second: how soon what was darkest and lightest is forgotten
DARKEST = 8.0  # mean level below which nothing but the camera's noise is told
FACE, MOUTH = 64, 32  # of 255: so much of a part is the lower face, at least, and the mouth, at most, where it is skin
DOUBT = 0.2  # probability from which the net doubts that a pixel is the face's
DOUBTS, MORE_DOUBTS = 1.25, 20  # times as many pixels as usual, and so many more: a thing may be found soon
USUAL_NS = NS  # what is doubted for so long is usual: folds, hair
_ANYTHING = np.float32(np.inf)
_NEIGHBOURS = np.ones((3, 3), np.uint8)


class LooksAlike:
    """How one face looked with nothing before it."""

    def __init__(self) -> None:
        self._extremes: tuple[Floats, Floats] | None = None  # as _levels has them; None before the first look
        self._bounds: tuple[Floats, Floats] | None = None  # what is no reason to ask
        self._skin: Mask = np.empty(0, np.uint8)  # (PARTS, PARTS) 255 where the last look saw some
        self._learnt_ns = 0
        self._doubted: tuple[float, int] | None = None  # in how many pixels the net usually doubts; the last look
        self._look: tuple[Image, tuple[Mask, Mask], int] | None = None  # that was not yet learnt from
        self._parts: tuple[TrackedFrame, Image] | None = None  # of the last frame that was asked for

    def see(self, tracked: TrackedFrame, face: Face, outlines: tuple[Mask, Mask], found: Share) -> None:
        """A look at which the net's probabilities, ``found``, came to no thing; ``outlines`` of lower face and mouth
        are those that it was shown. Where it may find one soon nothing is learnt: the next frame looks as new as this.
        """
        at_ns = tracked.frame.pts_ns
        doubted = float(np.count_nonzero(found >= DOUBT))
        usual, before_ns = self._doubted or (doubted, at_ns)
        learns = doubted <= DOUBTS * usual + MORE_DOUBTS
        self._look = (self._parts_of(tracked, face), outlines, at_ns) if learns else None
        usual += min(1.0, max(0, at_ns - before_ns) / USUAL_NS) * (doubted - usual)
        self._doubted = usual, at_ns

    def learn(self) -> None:
        """From the last look. Its own frame does not wait for it: the next one does, which is seldom looked at."""
        if self._look is None:
            return
        (parts, outlines, at_ns), self._look = self._look, None
        lower, mouth = (cv2.resize(each, (PARTS, PARTS), interpolation=cv2.INTER_AREA) for each in outlines)
        skin = (lower >= FACE) & (mouth <= MOUTH)
        self._skin = skin.astype(np.uint8) * np.uint8(255)
        levels = self._levels(parts)
        darkest, lightest = self._extremes or (levels, levels)
        forgotten = np.float32(FORGETS * max(0, at_ns - self._learnt_ns) / NS)
        self._learnt_ns = at_ns
        low, high = np.minimum(darkest + forgotten, levels), np.maximum(lightest - forgotten, levels)
        self._extremes = low, high
        low = low - BEYOND - SHIFTED * (low - cv2.erode(low, _NEIGHBOURS))
        high = high + BEYOND + SHIFTED * (cv2.dilate(high, _NEIGHBOURS) - high)
        known = skin[..., None]
        self._bounds = np.where(known, low, -_ANYTHING), np.where(known, high, _ANYTHING)

    def __call__(self, tracked: TrackedFrame, face: Face) -> bool:
        """Whether the face of a frame looks as it did; False before the first look."""
        if self._bounds is None:
            return False
        alike = cv2.inRange(self._levels(self._parts_of(tracked, face)), *self._bounds)
        return alike.size - cv2.countNonZero(alike) < NEW

    def _parts_of(self, tracked: TrackedFrame, face: Face) -> Image:
        if self._parts is None or self._parts[0] is not tracked:
            samples = crop_about(face.pose, SAMPLES, SIDE, CENTRE).take(tracked.frame.image)
            parts = cv2.resize(samples, (PARTS, PARTS), interpolation=cv2.INTER_AREA)
            self._parts = tracked, np.asarray(parts, np.uint8)
        return self._parts[1]

    def _levels(self, parts: Image) -> Floats:
        """How much lighter each (PARTS, PARTS, 3) is than all of the skin, in its mean level: the same in any light."""
        mean = np.array(cv2.mean(parts, self._skin)[:3], np.float32)
        return np.asarray((parts - mean) / max(DARKEST, float(mean.mean())), np.float32)
