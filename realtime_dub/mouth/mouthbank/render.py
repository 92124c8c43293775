"""Draws a target mouth on a live frame: warp the lower face, put in a mouth from the bank, match its colour, blend.

All geometry is made in the canonical face and projected with the live pose, so that nothing tears when the head turns
(see ARCHITECTURE.md). Lengths are in mouth widths.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from realtime_dub.blend import colour, pyramid
from realtime_dub.blend.masks import Mask, around, bounding_box, dilated, feather, lower_face, polygon
from realtime_dub.blend.patch import MouthPatch
from realtime_dub.blend.warp import Box, ThinPlate, moved_map, sample, sample_shown
from realtime_dub.blend.working import WorkingCopy
from realtime_dub.face.alignment import LOWER, TEMPLATE, mouth_width, project
from realtime_dub.face.landmarks import LIPS, LIPS_OUTER, mean
from realtime_dub.face.types import Face, Points, TrackedFrame
from realtime_dub.media import Image
from realtime_dub.mouth.mouthbank.bank import Bank, Mouth, lip_shape, view_angles
from realtime_dub.mouth.mouthbank.cavity import max_lip_opening, missing, missing_each, paint_cavity, reach_of_each
from realtime_dub.mouth.mouthbank.inside import Inside, lacking, view_of
from realtime_dub.mouth.mouthbank.lips import Bend, bring_nearer, until_lips_touch
from realtime_dub.mouth.mouthbank.sized import LIP_FEATHER, LIP_RIM, as_fine, lips_and_rim, opacity_of
from realtime_dub.mouth.mouthbank.tone import Tone, lips_colour
from realtime_dub.mouth.quality import HIGH, WorksAt

GRID = 1 / 14  # step of the coarse warp grid
# Of a mouth's width: larger ones are drawn at this size. At 1080 lines a face of a third of the height has one of 120.
WORK_PX: dict[WorksAt, float] = {"low": 56.0, "medium": 88.0, "high": 128.0}
FINE_UNTIL = 1.1  # times that, until which a face that comes nearer is warped with care
REACH_SIDE, REACH_DOWN = 0.5, 1.0  # how far the lips' movement carries the skin along (sigma of a Gaussian)
SWITCH_COST = 0.012  # a mouth in use is kept unless another is nearer by this much: no flicker
LIVE_BONUS = 0.006  # the live mouth needs no colour match
OPEN_COST = 2.0  # per mouth width that a mouth, the live one too, has to be opened: hard lips then look wide open
SHUT_COST = 0.1  # per mouth width that a bank mouth has to be shut, which goes well
ANGLE_COST = 0.08  # per unit of direction cosine between the bank mouth's head and the live one
RESTING_COST = 0.12  # the live mouth, where it rests: it is moving all the time
RESTING_SWITCH_COST = 0.04  # as SWITCH_COST, more, where it rests: nothing should move
RESTING_SHUT_COST = 1.5  # as SHUT_COST, more, where it rests: lips that were seen shut have no dark line between them
UNSEEN_COST = 0.03  # a painted inside instead of a real one
BENT_SHUT, BENT_OPEN = 0.7, 0.5  # of the way from a bank mouth's own shape to the one asked for; see _unbent
NEAR = 0.08  # mouth widths: where a lip is to go farther than this, no more is left of its own place than here
APART = 0.06  # mouth widths: inner lips that should be nearer than this are bent farther, all the way where they touch
# Levels of a mask of lips and a rim where the lips begin, and where all is lip: 0.03 mouth widths before their edge and
# behind it, by the rim's width and softness.
RED_FROM, RED_AT = 234, 254
_NO_RIM = np.clip((np.arange(256) - RED_FROM) * (255 / (RED_AT - RED_FROM)), 0, 255).astype(np.uint8)
_LIPS_AT = np.searchsorted(LOWER, LIPS)
UNMOVED = np.zeros((len(LOWER), 3), np.float32)
_NOSE_ANCHORS = np.array([2, 98, 327, 64, 294, 129, 358])


def _reach() -> npt.NDArray[np.float32]:
    offset = TEMPLATE[LOWER, None, :2] - TEMPLATE[LIPS_OUTER, :2]
    distance = np.linalg.norm(offset, axis=-1)
    nearest = distance.argmin(1)
    distance = distance.min(1)
    down = offset[np.arange(len(LOWER)), nearest, 1] / np.maximum(distance, 1e-6)
    sigma = REACH_SIDE + (REACH_DOWN - REACH_SIDE) * np.clip(down, 0, 1)
    weight = np.exp(-0.5 * (distance / sigma) ** 2)
    weight[np.isin(LOWER, LIPS)] = 1.0
    return np.asarray(weight[:, None], np.float32)


def _spread(indices: npt.NDArray[np.intp], count: int) -> npt.NDArray[np.intp]:
    """``count`` of the template's points, each as far as can be from those before."""
    points = TEMPLATE[indices, :2]
    chosen = [0]
    distance = np.linalg.norm(points - points[0], axis=1)
    while len(chosen) < count:
        chosen.append(int(distance.argmax()))
        distance = np.minimum(distance, np.linalg.norm(points - points[chosen[-1]], axis=1))
    return indices[chosen]


REACH = _reach()
_SKIN = _spread(LOWER[~np.isin(LOWER, LIPS)], 36)
_WITH_LIPS = np.concatenate([LIPS, _SKIN])
_AROUND_LIPS = np.concatenate([LIPS_OUTER, _SKIN])


@dataclass(frozen=True, slots=True, eq=False)
class Way:
    """From the live mouth to the dubbed one: as :meth:`Renderer.render` has them."""

    blend_weight: float
    resting: float
    kept: Points


class Lips:
    """Lips as a bank has them (40, 3), and how far they are apart, which is asked for again and again."""

    def __init__(self, shape: npt.NDArray[np.float32]) -> None:
        self.shape, self.opening = shape, max_lip_opening(shape)


class Renderer:
    """Draws mouths for one person; remembers which bank mouth is in use."""

    def __init__(self, bank: Bank, inside: Inside | None = None) -> None:
        """``inside``: paints what of a mouth nobody has seen; without it that stays dark."""
        self._bank, self._inside = bank, inside
        self._current: Mouth | None = None
        self._known, self._tone = _Known([]), Tone()
        self.work_px = WORK_PX[HIGH]  # may be changed
        self._fine = True
        self.drawn_points: Points | None = None  # (478, 3) of the face in the last patch, frame pixels

    def observe(self, tracked: TrackedFrame) -> None:
        """A look at the person from which the bank has learnt; for those who keep more than the bank does."""

    def follow(self, tracked: TrackedFrame) -> None:
        """A look at the live face, with nothing before it: mouths of the bank are drawn in the colour of its lips."""
        self._tone.follow(tracked)

    def render(
        self,
        tracked: TrackedFrame,
        displacement: Points,
        blend_weight: float,
        at_ns: int,
        resting: float = 0.0,
        kept: Points = UNMOVED,
    ) -> MouthPatch | None:
        """The patch for a mouth moved by ``displacement`` (len(LOWER), 3) from rest, in this person's mouth widths.

        ``kept``: what the live face's expression adds to that; it does not part the lips. ``blend_weight`` 0..1 goes
        from the live mouth to the dubbed one; ``resting`` of it do not speak. None where nothing of the lower face is
        in the frame.
        """
        face, neutral = tracked.face, self._bank.neutral
        if face is None or neutral is None:
            return None
        target = self._target(face, neutral, displacement, blend_weight, kept)
        return self._made(tracked, face, target, Way(blend_weight, resting, kept), at_ns)

    def _made(self, tracked: TrackedFrame, face: Face, target: Points, way: Way, at_ns: int) -> MouthPatch | None:
        """The patch for the canonical shape ``target`` (478, 3), a share of the way from the live mouth."""
        neutral = self._bank.neutral
        assert neutral is not None
        wanted, live = Lips(lip_shape(target, neutral)), Lips(lip_shape(face.canonical, neutral))
        if self._bank.shut is not None and wanted.opening < live.opening:
            self._current = None
            return self._drawn(tracked, face, target, None, 0.0, at_ns, nearer=True)
        mouth, unseen = self._choose(face, wanted, live, way.resting)
        if mouth is not None:
            target[LIPS, :2] += _unbent(mouth, wanted, way.blend_weight, way.kept[_LIPS_AT]) * np.float32(
                mouth_width(neutral)
            )
        return self._drawn(tracked, face, target, mouth, unseen, at_ns)

    def show(self, tracked: TrackedFrame, mouth: Mouth) -> MouthPatch | None:
        """The patch that puts ``mouth`` of the bank into the frame in its own shape; None as :meth:`render`."""
        face, neutral = tracked.face, self._bank.neutral
        if face is None or neutral is None:
            return None
        self._tone = Tone()  # frames that mouths are shown on do not follow each other
        target = face.canonical.copy()
        target[LIPS] = neutral[LIPS].mean(0) + mouth.shape * np.float32(mouth_width(neutral))
        return self._drawn(tracked, face, target, mouth, 0.0, tracked.frame.pts_ns)

    def reshape(self, tracked: TrackedFrame, target: Points, mouth: Mouth | None = None) -> MouthPatch | None:
        """The patch for the canonical shape ``target`` (478, 3), lips of ``mouth`` or the live ones; None as above."""
        face, neutral = tracked.face, self._bank.neutral
        if face is None or neutral is None:
            return None
        seen = lip_shape(face.canonical, neutral) if mouth is None else mouth.shape
        unseen = missing(max_lip_opening(lip_shape(target, neutral)), max_lip_opening(seen))
        return self._drawn(tracked, face, target, mouth, unseen, tracked.frame.pts_ns)

    def _drawn(
        self,
        tracked: TrackedFrame,
        face: Face,
        target: Points,
        mouth: Mouth | None,
        unseen: float,
        at_ns: int,
        nearer: bool = False,  # the live lips have to come nearer to each other than anybody has seen them
    ) -> MouthPatch | None:
        """The face of a frame with the canonical shape ``target``, the lips those of ``mouth`` or the live ones."""
        assert self._bank.neutral is not None
        if not self._tone.known(tracked):
            self._tone.follow(tracked)
        frame = tracked.frame
        unit = face.pose.scale * mouth_width(self._bank.neutral)
        outline = lower_face(face.points, unit)
        box = bounding_box(outline, 2, frame.width, frame.height)
        if box[2] < 8 or box[3] < 8:
            return None
        self.drawn_points = goal = project(target, face.pose)
        anchors = np.concatenate([outline, face.points[_NOSE_ANCHORS, :2]])
        alpha = opacity_of(outline, box, unit, self._shrink(unit))
        if nearer:
            region = bring_nearer(frame.image, Bend(face.points, goal, _SKIN, anchors, box, unit))
        else:
            region = self._warp_live(frame.image, face, goal, anchors, box, unit, mouth is None, alpha)
        self._fill_lips(region, goal, box, unit, mouth, unseen)
        if self._inside is not None and unseen > 0:
            opening = max_lip_opening(lip_shape(target, self._bank.neutral))
            share = min(unseen, lacking(opening, self._mouths().widest))
            if share > 0:
                view = view_of(self._bank.neutral, target, face.pose)
                self._inside.paint(region, goal, view, box, unit, share, at_ns)
        return MouthPatch(region, alpha, box, face.pose, at_ns, tracked.shot)

    def _shrink(self, unit: float) -> float:
        """How many times smaller a mouth of ``unit`` pixels is worked on."""
        return max(1.0, unit / self.work_px)

    def _fill_lips(
        self, region: Image, goal: Points, box: Box, unit: float, mouth: Mouth | None, unseen: float
    ) -> None:
        """Put ``mouth`` between and on the lips of ``region``, the picture of ``box``, and paint what is unseen."""
        inner = around(goal[LIPS_OUTER], unit * (LIP_RIM + 3 * LIP_FEATHER), box)
        if (mouth is None and unseen <= 0) or min(inner[2:]) < 8:
            return
        part = WorkingCopy.of(region, box, inner, self._shrink(unit))
        goal, unit = part.points(goal), part.length(unit)
        room = lips_and_rim(goal[LIPS_OUTER, :2].astype(np.float64), part.box, unit)
        drawn = feather(room, LIP_FEATHER * unit)
        if mouth is not None:
            self._put_mouth(part.image, mouth, goal, part.box, unit, drawn, room)
        paint_cavity(part.image, goal, part.box, unit, unseen)
        part.lay_back(drawn)

    def _target(
        self, face: Face, neutral: Points, displacement: Points, blend_weight: float, kept: Points = UNMOVED
    ) -> Points:
        width = np.float32(mouth_width(neutral))
        wanted = neutral[LOWER] + until_lips_touch(neutral, displacement * width) + kept * width
        target = face.canonical.copy()
        target[LOWER] += REACH * np.float32(blend_weight) * (wanted - target[LOWER])
        return target

    def _choose(self, face: Face, wanted: Lips, live: Lips, resting: float = 0.0) -> tuple[Mouth | None, float]:
        """The bank mouth to use, None = the live one is as good; and the share of its inside that nobody has seen."""
        unseen = missing(wanted.opening, live.opening)
        cost = float(_distance(live.shape, wanted.shape)) - LIVE_BONUS + UNSEEN_COST * unseen
        cost += RESTING_COST * resting
        cost += OPEN_COST * max(0.0, wanted.opening - live.opening)
        cost -= SWITCH_COST if self._current is None else 0
        best = None
        if mouths := self._bank.mouths:
            known = self._mouths()
            opened, used = np.float32(wanted.opening) - known.openings, known.place(self._current)
            costs = self._costs(wanted, opened, view_angles(face), used)
            if used is not None:
                costs[used] = float(costs[used]) - RESTING_SWITCH_COST * resting
            shut_cost = SHUT_COST + RESTING_SHUT_COST * resting
            nearest = int((costs + shut_cost * np.maximum(0, -opened)).argmin())
            if costs[nearest] < cost:
                best = mouths[nearest]
                unseen = missing(wanted.opening, best.max_lip_opening)
        self._current = best
        return best, unseen

    def _mouths(self) -> _Known:
        """Of the bank, as it is now."""
        if self._known.mouths != self._bank.mouths:
            self._known = _Known(list(self._bank.mouths))
        return self._known

    def _costs(
        self,
        wanted: Lips,
        opened: npt.NDArray[np.float32],
        angles: npt.NDArray[np.float32],
        used: int | None,
    ) -> npt.NDArray[np.float32]:
        """What each of the bank's mouths (n,) costs against the live one: bent, turned, painted, opened.

        ``used``: which one is in use.
        """
        costs = self._known.distances(wanted.shape)
        costs += ANGLE_COST * np.abs(self._known.angles - angles).sum(-1)
        costs += (UNSEEN_COST * missing_each(wanted.opening, self._known.reach)).astype(np.float32)
        if used is not None:
            costs[used] = float(costs[used]) - SWITCH_COST
        return costs + OPEN_COST * np.maximum(0, opened)

    def _warp_live(
        self,
        image: Image,
        face: Face,
        goal: Points,
        anchors: npt.NDArray[np.float64],
        box: Box,
        unit: float,
        with_lips: bool,
        shown: Mask,
    ) -> Image:
        plate = skin_plate(face, goal, anchors, unit, with_lips)
        where = moved_map(box, plate.field(box, unit * GRID))
        return sample_shown(image, box, where, shown, fine=self._is_fine(unit))

    def _is_fine(self, unit: float) -> bool:
        """Whether a mouth of ``unit`` pixels is warped with care. One at the border of it stays as it was."""
        self._fine = unit <= self.work_px * (FINE_UNTIL if self._fine else 1)
        return self._fine

    def _put_mouth(
        self, below: Image, mouth: Mouth, goal: Points, box: Box, unit: float, soft: Mask, room: Mask
    ) -> None:
        """Put ``mouth`` into ``below``, the picture of ``box``, where the lips are, ``soft`` at their rim, which is in
        ``room``.
        """
        image, at = as_fine(mouth, unit)
        plate = ThinPlate(goal[LIPS, :2].astype(np.float64), at.astype(np.float64), unit)
        picture = sample(image, moved_map(box, plate.field(box, unit * GRID)))
        skin, own = colour.rim_shift(below, picture, rim_of(room, goal, box, unit)), lips_colour(image, at)
        picture = colour.add_two(picture, skin, self._lips_shift(own), lips_of(soft), colour.grey_of(own))
        below[:] = pyramid.blend(below, picture, soft)

    def _lips_shift(self, own: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """What lips of the colour ``own`` (3,) lack of that which the live ones have."""
        most = np.float32(colour.MAX_SHIFT)
        return np.asarray(np.minimum(np.maximum(self._tone.lips - own, -most), most))


def lips_of(soft: Mask) -> Mask:
    """The lips and what is between them, of a mask that is ``soft`` at the rim of skin beside them."""
    return np.asarray(cv2.LUT(soft, _NO_RIM), np.uint8)


def skin_plate(face: Face, goal: Points, anchors: npt.NDArray[np.float64], unit: float, with_lips: bool) -> ThinPlate:
    """What bends the lower face of ``face`` to the points ``goal``, with its outline and the nose held."""
    moved = _WITH_LIPS if with_lips else _AROUND_LIPS
    target, source = (np.concatenate([points[moved, :2], anchors]) for points in (goal, face.points))
    return ThinPlate(target, source, unit)


def rim_of(room: Mask, goal: Points, box: Box, unit: float) -> npt.NDArray[np.bool_]:
    """The skin of ``box`` around the lips by which colours are matched: what is in ``room`` and not near them."""
    near = polygon(dilated(goal[LIPS_OUTER, :2].astype(np.float64), 0.03 * unit), box)
    return np.asarray((room > 127) & (near == 0), np.bool_)


class _Known:
    """What all of a bank's mouths are chosen by, side by side. A bank learns seldom, and is asked for every frame."""

    def __init__(self, mouths: list[Mouth]) -> None:
        self.mouths = mouths
        shapes = np.array([mouth.shape for mouth in mouths], np.float32).reshape(len(mouths), len(LIPS), 3)
        self._across, self._down = np.ascontiguousarray(shapes[..., 0]), np.ascontiguousarray(shapes[..., 1])
        self.angles = np.array([mouth.angles for mouth in mouths], np.float32)
        openings = np.array([mouth.max_lip_opening for mouth in mouths], np.float64)
        self.openings, self.reach = openings.astype(np.float32), reach_of_each(openings)
        self.widest = max((mouth.max_lip_opening for mouth in mouths), default=0.0)

    def distances(self, wanted: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """:func:`_distance` of each (n,), in a third of its time."""
        across, down = self._across - wanted[:, 0], self._down - wanted[:, 1]
        across *= across
        down *= down
        across += down
        return _weighed(np.sqrt(across, out=across))

    def place(self, used: Mouth | None) -> int | None:
        """Where a mouth is among them, also where a bank has found since that it rests elsewhere."""
        image = None if used is None else used.image
        return next((place for place, mouth in enumerate(self.mouths) if mouth.image is image), None)


def _unbent(
    mouth: Mouth, wanted: Lips, blend_weight: float, kept: Points = UNMOVED[_LIPS_AT]
) -> npt.NDArray[np.float32]:
    """What is left (40, 2) of a bank mouth's own shape when it is bent to ``wanted``, mouth widths.

    A mouth bent by a tenth of its width, above all one that is opened, may look to a tracker, and to people, like quite
    another one where hair or a dark inside hides the lips' edges; one that was really seen does not. Lips that should
    touch do, and those that should go farther than anything seen go nearly as far. ``kept`` (40, 3), what an expression
    adds, is bent wholly: a smile that came and went with the mouths of the bank would twitch.
    """
    own = _without((mouth.shape - wanted.shape)[:, :2], kept[:, :2])
    bent = BENT_OPEN if mouth.max_lip_opening < wanted.opening else BENT_SHUT
    apart = min(1.0, wanted.opening / APART)
    near = min(1.0, NEAR / max(float(np.abs(own).max()), 1e-6))
    return np.asarray(own * np.float32(blend_weight * apart * near * (1 - bent)), np.float32)


def _without(own: npt.NDArray[np.float32], kept: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """``own`` (n, 2) less what of ``kept`` is in it."""
    power = float((kept * kept).sum())
    share = float((own * kept).sum()) / power if power > 0 else 0.0
    return own - np.float32(min(max(share, -1.0), 1.0)) * kept


def _distance(shapes: npt.NDArray[np.float32], wanted: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """From lip shapes (..., 40, 3) to one; inner lips, which decide what is seen, count double; depth is too noisy."""
    away = shapes[..., :2] - wanted[:, :2]
    return _weighed(np.sqrt(np.add.reduce(away * away, -1)))


def _weighed(apart: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """One distance of those of the lips' points (..., 40)."""
    return np.asarray((mean(apart[..., :20], -1) + 2 * mean(apart[..., 20:], -1)) / 3)
