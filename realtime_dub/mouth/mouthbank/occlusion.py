"""What stands before the mouth stays before it: a hand, a cup, a microphone, a mask, a line of text.

A net says of each pixel around the mouth whether something covers the face. There the live pixels stay; where most of
the mouth is covered, there is nothing left to dub and the live mouth is gone back to.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from realtime_dub.blend.masks import Mask
from realtime_dub.blend.patch import MouthPatch
from realtime_dub.face.crop import Crop
from realtime_dub.face.landmarks import LIPS, mean_apart
from realtime_dub.face.types import Face, TrackedFrame
from realtime_dub.inference import AUTO
from realtime_dub.inference.bundle import part_session
from realtime_dub.media import MS, NS
from realtime_dub.mouth.fade import Fade
from realtime_dub.mouth.mouthbank.occlusion_change import LooksAlike
from realtime_dub.mouth.mouthbank.occlusion_stays import MAYBE, Share, Staying
from realtime_dub.mouth.mouthbank.occlusion_view import feeds, outlines, taken, view_of

PART = "occlusion"
SURE = 0.98  # a thing is where one pixel is sure, and wherever those around it may be
LOOKS = 3  # at an island before it is believed: an open mouth under a moustache is taken for one, for a frame or two
LEAST_PIXELS = 20  # of the crop's 9,216; less is no thing that anybody holds
EDGE = 5  # pixels of the crop by which a thing is taken to be larger: light of its edge, what the warp pulls along
SOFT = 1.0  # sigma of the edge, pixels of the crop
LEAVES_NS = 120 * MS  # a pixel that was covered is believed to be free after so long
HIDDEN, SHOWN = 0.5, 0.3  # share of the mouth from which it is given up, and below which it is taken up again
RETURNS_NS = 160 * MS  # after so long without a break
WILD = 0.12  # mouth widths that the lips jump by within 40 ms: the tracker guesses them
CLEAR = 0.03  # share of the mouth that may be covered in what is learnt from
STAYS_NS = 4 * NS  # what has hidden so long a part of the mouth, and never left it, belongs to this person
CALM_NS = NS  # after so long without anything
UNCHANGED_NS = 240 * MS  # a look now and then is enough while the face looks as it did then,
IDLE_NS = 240 * MS  # where nothing is drawn,
EVERY_SHORT_NS = 400 * MS  # or where the machine has no time for them
BREAK_NS = 500 * MS  # what was before such a hole says nothing


@dataclass(frozen=True, slots=True, eq=False)
class Cover:
    """What covers the face in one frame."""

    weight: float = 1.0  # 0..1, of the dubbed mouth against the live one
    hidden: float = 0.0  # share of the mouth that is covered
    share: Share | None = None  # of each pixel of the crop; None where nothing covers any
    crop: Crop | None = None
    clear: bool = True  # the mouth may be learnt from

    def over(self, patch: MouthPatch) -> MouthPatch:
        """``patch`` with the live pixels left where something covers the face."""
        if self.share is None or self.crop is None:
            return patch
        x, y, width, height = patch.box
        matrix = self.crop.matrix.copy()
        matrix[:, 2] += matrix[:, :2] @ (x, y)
        how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        free = cv2.warpAffine(1 - self.share, matrix, (width, height), flags=how, borderMode=cv2.BORDER_REPLICATE)
        return replace(patch, alpha=np.asarray(cv2.multiply(patch.alpha, free, dtype=cv2.CV_8U), np.uint8))


class Occlusion:
    """Looks at one stream's frames. The same frame may be asked for again."""

    def __init__(self, backend: str = AUTO) -> None:
        """``backend``: what runs the net, if it can; else the usual one does."""
        self._session = part_session("mouthbank", PART, backend)
        self.short = False  # the machine has little time; may be changed at any time
        self._last: TrackedFrame | None = None
        self._step_ns = 0  # from the frame before to the last one
        self._reset()

    def _reset(self) -> None:
        self._cover, self._things, self._staying, self._alike = Cover(), Things(), Staying(), LooksAlike()
        self._held: Share | None = None  # what was covered, and not yet believed to be free
        self._lips: tuple[npt.NDArray[np.float32], int] | None = None  # canonical, and when they were there
        self._wild = False  # they jumped in the last frame
        self._free_since_ns: int | None = None
        self._looked_ns: int | None = None
        self._unclear_since_ns: int | None = None
        self._fade, self._idle = Fade(), False  # idle: nothing is drawn, so that nothing has to be faded
        self._is_hidden = False
        self._shown_since_ns: int | None = None

    def look(self, tracked: TrackedFrame, idle: bool = False) -> Cover:
        """What covers the face of this frame; nothing where there is no face.

        ``idle``: nothing is drawn, nor learnt; an older look will do. Asked again without, the frame is looked at.
        """
        if tracked.face is None:
            return Cover()
        if tracked is not self._last:
            self._go_on(tracked)
            self._wild = self._jumps(tracked.face, tracked.frame.pts_ns)
        elif idle or not self._idle:
            return self._cover
        at_ns = tracked.frame.pts_ns
        rests = self._may_rest(tracked, tracked.face, idle)
        cover = self._calm(at_ns) if rests else self._seen(tracked, tracked.face)
        self._idle = idle and rests
        clear = self._is_clear(cover, at_ns)
        self._cover = cover if cover.clear == clear else replace(cover, clear=clear)
        return self._cover

    def _go_on(self, tracked: TrackedFrame) -> None:
        """To another frame, the next one or after a break."""
        before, self._last = self._last, tracked
        self._staying.learn()
        self._alike.learn()
        self._step_ns = 0 if before is None else tracked.frame.pts_ns - before.frame.pts_ns
        if before is None or not 0 <= self._step_ns <= BREAK_NS:
            self._reset()
        elif before.shot != tracked.shot:
            staying = self._staying
            staying.doubt()
            self._reset()
            self._staying = staying

    def _is_clear(self, cover: Cover, at_ns: int) -> bool:
        """Whoever always has a microphone before the chin is learnt with it; it is not drawn over."""
        if cover.hidden <= CLEAR:
            self._unclear_since_ns = None
            return True
        if self._unclear_since_ns is None:
            self._unclear_since_ns = at_ns
        return cover.hidden <= SHOWN and at_ns - self._unclear_since_ns >= STAYS_NS

    def clear(self, tracked: TrackedFrame) -> bool:
        """Whether the mouth in this frame may be learnt from."""
        return self.look(tracked).clear

    def is_due(self, tracked: TrackedFrame) -> bool:
        """Whether a frame that nothing is drawn on is worth learning from: it was looked at, or it is time for that."""
        since_ns = 0 if self._looked_ns is None else tracked.frame.pts_ns - self._looked_ns
        return not 0 < since_ns < IDLE_NS * 2 // 3

    def _may_rest(self, tracked: TrackedFrame, face: Face, idle: bool) -> bool:
        """Whether the net need not be asked in this frame."""
        at_ns = tracked.frame.pts_ns
        if self._free_since_ns is None or self._looked_ns is None or self._things.doubts:
            return False
        if at_ns - self._free_since_ns < CALM_NS:
            return False
        since_ns = at_ns - self._looked_ns
        if self.short or idle:
            return since_ns < (EVERY_SHORT_NS if self.short else IDLE_NS)
        return since_ns < UNCHANGED_NS and self._alike(tracked, face)

    def _calm(self, at_ns: int) -> Cover:
        return Cover(self._weight(0.0, False, at_ns))

    def _seen(self, tracked: TrackedFrame, face: Face) -> Cover:
        at_ns = self._looked_ns = tracked.frame.pts_ns
        crop = view_of(face)
        lower, mouth = outlines(face.points, face.pose.scale, crop)
        image = taken(tracked.frame.image, crop)
        found = self._session.run(feeds(image, lower, mouth))["covered"][0] * (lower > 0)
        yaw, believed = -float(face.pose.rotation[2, 0]), self._things(found, lower)
        covered = self._staying(believed, found, image, lower, mouth, yaw, at_ns)
        share = self._hold(None if covered is None else _share(found, covered, self._staying.unseen), self._step_ns)
        if share is None:
            if self._free_since_ns is None and not self._things.doubts:
                self._free_since_ns = at_ns
            self._alike.see(tracked, face, (lower, mouth), found)
            return Cover(self._weight(0.0, False, at_ns))
        self._free_since_ns = None
        hidden = float(share[mouth > 127].mean()) if (mouth > 127).any() else 1.0
        return Cover(self._weight(hidden, self._wild, at_ns), hidden, share, crop)

    def _hold(self, share: Share | None, step_ns: int) -> Share | None:
        """Covered at once, free after a while: an edge that trembles is no flicker."""
        if self._held is not None:
            left = self._held - np.float32(step_ns / LEAVES_NS)
            share = np.maximum(left, 0 if share is None else share)
            share = share if share.max() > 0.02 else None
        self._held = share
        return share

    def _jumps(self, face: Face, at_ns: int) -> bool:
        lips, before = face.canonical[LIPS], self._lips
        self._lips = lips, at_ns
        if before is None:
            return False
        moved = float(mean_apart(lips[:, :2], before[0][:, :2]))
        return moved > WILD * max(1.0, (at_ns - before[1]) / (40 * MS))

    def _weight(self, hidden: float, wild: bool, at_ns: int) -> float:
        if hidden > HIDDEN or wild:
            self._is_hidden, self._shown_since_ns = True, None
        elif hidden >= SHOWN:
            self._shown_since_ns = None
        elif self._is_hidden:
            self._shown_since_ns = at_ns if self._shown_since_ns is None else self._shown_since_ns
            self._is_hidden = at_ns - self._shown_since_ns < RETURNS_NS
        if self._idle:
            self._fade = Fade()
        return self._fade(0.0 if self._is_hidden else 1.0, at_ns)


class Things:
    """Tells things from doubts. What comes from beside the face is believed at once, an island after some looks."""

    def __init__(self) -> None:
        self._looks: npt.NDArray[np.uint8] | None = (
            None  # (SIZE, SIZE) in a row at what is there; None before the first
        )

    def __call__(self, found: Share, lower: Mask) -> Mask | None:
        """1 where the net's probabilities tell of things, 0 elsewhere; None where there is none.

        ``lower`` is the lower face as the tracker finds it; beyond it ``found`` is 0.
        """
        inside = (lower > 0).astype(np.uint8)
        if found.max() < SURE:  # nearly always; each of the calls below waits for the interpreter where many run
            self._looks = np.zeros(found.shape, np.uint8)
            return None
        count, labels, stats, _ = cv2.connectedComponentsWithStats((found > MAYBE).astype(np.uint8))
        sure = np.unique(labels[found >= SURE])
        within = cv2.erode(inside, np.ones((5, 5), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=(0,))
        rim = np.unique(labels[(inside > 0) & (within == 0)])
        before, self._looks = self._looks, np.zeros(found.shape, np.uint8)
        believed = np.zeros(count, np.uint8)
        for label in sure[stats[sure, cv2.CC_STAT_AREA] >= LEAST_PIXELS]:
            here = labels == label
            looks = LOOKS if before is None or label in rim else min(LOOKS, int(before[here].max()) + 1)
            self._looks[here] = looks
            believed[label] = looks >= LOOKS
        return believed[labels] if believed.any() else None

    @property
    def doubts(self) -> bool:
        """There is something that is not believed yet."""
        return self._looks is not None and bool(self._looks.any())


def _share(found: Share, covered: Mask, unseen: Mask | None) -> Share:
    """A little larger than it is found, with a soft edge; what is ``unseen`` by the net is covered wholly."""
    share = np.clip((found - 0.15) / 0.3, 0, 1) * cv2.dilate(covered, np.ones((3, 3), np.uint8))
    larger = cv2.dilate(share.astype(np.float32), np.ones((EDGE, EDGE), np.uint8))
    if unseen is not None:  # is a little larger already
        larger = np.maximum(larger, cv2.dilate(unseen, np.ones((3, 3), np.uint8)))
    return np.asarray(cv2.GaussianBlur(larger.astype(np.float32), (0, 0), SOFT), np.float32)
