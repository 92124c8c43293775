"""A thing that was seen to come before the face is there until it has gone, also where the net loses sight of it.

A hand of the face's own colour that rests on it is hard to see; that it came is not. So what is believed is followed
with less proof than it takes to be believed. And where it is, the face looks unlike it looked before: how the lower
face looked with nothing before it is remembered. By that alone nothing begins, so that no beard becomes a thing.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from realtime_dub.blend.masks import Mask
from realtime_dub.media import MS, NS, Floats, Image

Share = npt.NDArray[np.float32]  # (size, size) 0..1

MAYBE = 0.3  # probability from which pixels hang together with one that is sure
SEEN, STILL = 0.5, 0.15  # probability by which the net still sees a thing, and of what then belongs to it
GROWS = 7  # pixels: kernel within which it may have moved since the last look
UNSEEN_NS = 2 * NS  # it is believed to be there without the net seeing any of it
MOST_UNSEEN = 0.3  # of the lower face may be covered by what the net does not see: more is another light
ANOTHER = 0.35  # of the pixels that are not covered may be unlike the face's; else it is another one
ANOTHER_BEHIND = 0.5  # the same behind a thing, whose own rim is among them, and which pulls the landmarks along
TURNS = 0.3  # sine of the yaw by which a head is turned otherwise than it is remembered
BLUR = 1.5  # sigma, pixels: the crop trembles with the landmarks
BLURRED = 3  # pixels: kernel by which the blur makes a thing larger
LEVELS, SPREADS = 12.0, 2.0  # a pixel is unlike itself by so many levels, and so many standard deviations
LIPS = 2.0  # times as much for the mouth
DOUBTED, ENOUGH = 0.02, 0.5  # probability of a thing from which so much of it is enough, in the mouth as well
RATE = 0.05  # at which a look counts after many
AT_MOST = 0.2  # the rate of the variance while there were few looks
MANY = 20  # frames after which a pixel of the mouth is known: it moves by itself
FRAME_NS, MOST_FRAMES = 40 * MS, 10.0  # what a frame is, and how many a look stands for at most
AWAY = 11  # pixels: kernel around a thing, beyond which the face may be looked at
FREE = 0.2  # probability below which a pixel shows the face
_VARIANCE = 16.0  # of a pixel that was seen once
_LEAST_PIXELS = 200  # without anything before them, to tell the light by


class ClearFace:
    """The lower face with nothing before it: for each pixel of the crop mean, variance and frames."""

    def __init__(self) -> None:
        self._mean: Floats | None = None
        self._variance: Floats = np.empty(0, np.float32)
        self._looks = self._variance
        self._yaw = 0.0  # sine

    def see(self, image: Floats, free: npt.NDArray[np.bool_], yaw: float, all_of_it: bool, frames: float) -> None:
        """A look at ``free`` pixels of the blurred crop (size, size, 3): at all of them, or at those little known.

        It stands for so many ``frames``: few looks are to come to the same as many.
        """
        if self._mean is None:
            self._mean, self._variance = image.copy(), np.full(image.shape, _VARIANCE, np.float32)
            self._looks, self._yaw = np.zeros(image.shape[:2], np.float32), yaw
        if all_of_it:
            self._yaw += float(_part(RATE, frames)) * (yaw - self._yaw)
        else:
            free = free & (self._looks < MANY)
        self._looks += free * np.float32(frames)
        recent = np.minimum(1, np.float32(frames) / np.maximum(self._looks, 1))
        # Three channels of it, for what NumPy spreads over so short an axis takes ten times as long.
        part = cv2.merge([np.asarray(np.maximum(_part(RATE, frames), recent) * free, np.float32)] * 3)
        away = image - self._mean
        self._mean += part * away
        away *= away
        away -= self._variance
        away *= np.minimum(part, _part(AT_MOST, frames), out=part)
        self._variance += away

    def unlike(self, image: Floats, lower: Mask, mouth: Mask, covered: Mask, yaw: float, found: Share) -> Mask:
        """Where the blurred crop (size, size, 3) is not as it was; nowhere where the face cannot be compared.

        Where the net doubts that it sees the face less is asked, and one look at what was there: neither tells a
        finger of the face's colour alone, both together do.
        """
        if self._mean is None or abs(yaw - self._yaw) > TURNS:
            return np.zeros(lower.shape, np.uint8)
        strict = (mouth > 127) & (found <= DOUBTED)
        known = (self._looks >= np.where(strict, MANY, 1)) & (lower > 0)
        times = np.where(found > DOUBTED, np.float32(ENOUGH), np.where(strict, np.float32(LIPS), np.float32(1)))
        return np.asarray((self._off(image, (lower > 0) & (covered == 0)) > times) & known, np.uint8)

    def shows(self, image: Floats, lower: Mask, covered: Mask) -> bool:
        """Whether the blurred crop is of the face that is remembered, as far as that is not ``covered``."""
        free = (lower > 0) & (covered == 0)
        if self._mean is None or np.count_nonzero(free) < _LEAST_PIXELS:
            return False
        known = free & (self._looks >= 1)
        most = ANOTHER_BEHIND if covered.any() else ANOTHER
        return np.count_nonzero((self._off(image, free) > 1) & known) < most * np.count_nonzero(known)

    def _off(self, image: Floats, free: npt.NDArray[np.bool_]) -> Share:
        """How far each pixel is from what it was, 1 = not the same; the light is told by those that are ``free``."""
        assert self._mean is not None
        away = image - self._mean
        if np.count_nonzero(free) >= _LEAST_PIXELS:
            away = away - np.median(away[free][::7], axis=0)
        return np.asarray((np.abs(away) / (LEVELS + SPREADS * np.sqrt(self._variance))).max(-1), np.float32)


class Staying:
    """Follows what was believed to be before one face."""

    def __init__(self) -> None:
        self._face, self._was = ClearFace(), np.empty(0, np.uint8)
        self.unseen: Mask | None = None  # what of it the net does not see
        self._there = self._doubts = False
        self._unseen_ns = 0
        self._at_ns: int | None = None  # the last look
        self._clear: tuple[Image, Share, Mask, float, float] | None = None  # a look that was not yet learnt from

    def doubt(self) -> None:
        """It may be another face from the next look on; or a hand that hides the face for a while."""
        self._doubts = True

    def __call__(
        self, believed: Mask | None, found: Share, crop: Image, lower: Mask, mouth: Mask, yaw: float, at_ns: int
    ) -> Mask | None:
        """Where things are (size, size), 1 or 0; None where there is none.

        ``believed``: those that the net sees for sure; ``found``: its probabilities, 0 beyond the ``lower`` face;
        ``yaw``: the sine of the head's turn.
        """
        self.learn()
        step_ns = FRAME_NS if self._at_ns is None else at_ns - self._at_ns
        self._at_ns, frames = at_ns, min(MOST_FRAMES, step_ns / FRAME_NS)
        covered, self.unseen = believed, None
        if believed is None and not self._there and not self._doubts:  # nearly always
            self._clear = crop, found, lower, yaw, frames
            return None
        image = _blurred(crop)
        if self._doubts and not self._face.shows(image, lower, self._was if self._there else np.zeros_like(lower)):
            self._face, self._there, self._unseen_ns = ClearFace(), False, 0
        self._doubts = False
        if believed is not None and not self._there:
            self._there, self._was = True, believed
        if self._there:
            seen = self._still_seen(believed, found)
            self._unseen_ns = 0 if seen.any() else self._unseen_ns + step_ns
            self.unseen = self._unseen(seen, found, image, lower, mouth, yaw)
            covered = seen | self.unseen
        self._there = covered is not None and bool(covered.any())
        if covered is None or not self._there:
            self._unseen_ns = 0
            self._face.see(image, _free(found, lower), yaw, True, frames)
            return None
        self._was = covered
        self._face.see(image, cv2.dilate(covered, np.ones((AWAY, AWAY), np.uint8)) == 0, yaw, False, frames)
        return covered

    def learn(self) -> None:
        """From the last look, where that showed the face alone. Its own frame does not wait for it: the next look does,
        or the next frame, which is not looked at.
        """
        if self._clear is not None:
            (crop, found, lower, yaw, frames), self._clear = self._clear, None
            self._face.see(_blurred(crop), _free(found, lower), yaw, True, frames)

    def _near(self) -> Mask:
        return np.asarray(cv2.dilate(self._was, np.ones((GROWS, GROWS), np.uint8)), np.uint8)

    def _still_seen(self, believed: Mask | None, found: Share) -> Mask:
        """What hangs together with the thing of the last look, and what is believed anew."""
        near = self._near() > 0
        sure = near & (found >= SEEN)
        if believed is not None:
            sure |= believed > 0
        count, labels = cv2.connectedComponents(((found > MAYBE) | (near & (found > STILL))).astype(np.uint8))
        kept = np.zeros(count, np.uint8)
        kept[labels[sure]] = 1
        kept[0] = 0  # what is nothing
        return np.asarray(kept[labels], np.uint8)

    def _unseen(self, seen: Mask, found: Share, image: Floats, lower: Mask, mouth: Mask, yaw: float) -> Mask:
        """What of the thing the face tells, not the net."""
        if self._unseen_ns > UNSEEN_NS:
            return np.zeros_like(seen)
        for doubt in (found, np.zeros_like(found)):  # too much by both together, the face's look alone may tell
            unlike = self._face.unlike(image, lower, mouth, self._was | seen, yaw, doubt)
            unseen = _joined(unlike, self._near())
            if np.count_nonzero(unseen & (1 - seen)) <= MOST_UNSEEN * np.count_nonzero(lower):
                return unseen
        return np.zeros_like(seen)


def _blurred(crop: Image) -> Floats:
    return np.asarray(cv2.GaussianBlur(crop.astype(np.float32), (0, 0), BLUR), np.float32)


def _free(found: Share, lower: Mask) -> npt.NDArray[np.bool_]:
    """Where the face is seen, and what is beside it."""
    return np.asarray((found < FREE) | (lower == 0), np.bool_)


def _joined(unlike: Mask, near: Mask) -> Mask:
    """What of ``unlike`` hangs together with what is ``near``: a hand that is seen at its edge is there whole."""
    kernel = np.ones((BLURRED, BLURRED), np.uint8)
    smaller = np.asarray(cv2.erode(unlike, kernel), np.uint8)
    count, labels = cv2.connectedComponents(smaller)
    kept = np.zeros(count, np.uint8)
    kept[labels[(near & smaller) > 0]] = 1
    return np.asarray(cv2.dilate(kept[labels], kernel), np.uint8) & unlike


def _part(rate: float, frames: float) -> np.float32:
    """What a rate per frame comes to in so many."""
    return np.float32(1 - (1 - rate) ** frames)
