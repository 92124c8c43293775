"""Teeth and tongue between lips that nobody has seen so far apart: a photograph, a person not yet heard.

A net is told where the lips are to be, where the rows of teeth are behind them, upper ones with the head and lower ones
with the jaw, and how the drawn face is lit. It says what is to be painted. That is put between the lips, nowhere
else, and no more of it than is missing: a mouth of the bank that is open enough stays as it is, to the pixel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from realtime_dub.blend.masks import Mask, around, feather, polygon
from realtime_dub.blend.warp import Box
from realtime_dub.face.alignment import mouth_width, project
from realtime_dub.face.crop import Crop, crop_about
from realtime_dub.face.landmarks import CHIN, CORNERS, LIPS, LIPS_INNER, LIPS_OUTER
from realtime_dub.face.types import Points, Pose
from realtime_dub.inference import AUTO
from realtime_dub.inference.bundle import part_session
from realtime_dub.media import MS, Image
from realtime_dub.mouth.fade import Fade
from realtime_dub.mouth.mouthbank.bank import Mouth
from realtime_dub.mouth.mouthbank.cavity import missing
from realtime_dub.mouth.mouthbank.occlusion_view import scaled, taken

PART = "inside"
SIZE = 96  # pixels a side of what the net sees
SIDE = 1.28  # of the same, template units: the lips of an open mouth and some skin
ROOM_SOFT = 0.015  # sigma of the edge of what may be painted, mouth widths
DEPTH = 0.12  # mouth widths that the teeth stand behind the lips
SPARED_NS = 400 * MS  # the paint goes within this where time is short, and comes back so

# Mouth widths between the lips: up to SLIT the inside is a dark line, which tells them apart.
SLIT, OPEN = 0.06, 0.12

_LIP, _CHIN = LIPS_INNER[[5, 15]], np.array([CHIN, 175, 199])  # the inner lips' middles; what goes with the jaw

Shares = npt.NDArray[np.float32]  # (height, width) 0..1


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """The square that the net sees, and ``jaws`` (2, 4) where the upper and the lower teeth are in it: the middle of
    the row, x and y, and a mouth width there, across and down, pixels of the crop.
    """

    crop: Crop
    jaws: npt.NDArray[np.float32]


class Inside:
    """Paints what is missing between drawn lips. One serves every person of a stream."""

    def __init__(self, backend: str = AUTO) -> None:
        """``backend``: what runs the net, if it can; else the usual one does."""
        self._session = part_session("mouthbank", PART, backend)
        self.short = False  # the machine has little time; may be changed at any time
        self._fade = Fade(SPARED_NS, SPARED_NS)

    def paint(self, region: Image, goal: Points, view: View, box: Box, unit: float, share: float, at_ns: int) -> None:
        """Paint ``share`` 0..1 of what is missing, in place.

        ``region``: the picture of ``box``, drawn for ``at_ns``; ``goal`` (478, 3): where its lips are, frame pixels;
        ``unit``: a mouth width, pixels.
        """
        area = around(goal[LIPS_INNER].astype(np.float64), 4 * ROOM_SOFT * unit + 1, box)
        share *= self._fade(float(not self.short), at_ns)
        if share <= 0 or min(area[2:]) < 1:
            return
        outer, inner = outlines(goal, view.crop)
        painted = self._session.run(feeds(taken(region, moved(view.crop, box)), outer, inner, view.jaws))["painted"]
        weight = room_of(goal, area, unit) * np.float32(share)
        colours = _back(painted[0].transpose(1, 2, 0), view.crop, area) * np.float32(255)
        x, y = area[0] - box[0], area[1] - box[1]
        below = region[y : y + area[3], x : x + area[2]]
        below[:] = below + cv2.merge([weight] * 3) * (colours - below) + np.float32(0.5)


def lacking(opening: float, mouths: Sequence[Mouth]) -> float:
    """What share of the inside of a mouth is painted: what is to be seen of it, and is in none of ``mouths``."""
    widest = max((mouth.max_lip_opening for mouth in mouths), default=0.0)
    return missing(opening, widest) * min(1.0, max(0.0, (opening - SLIT) / (OPEN - SLIT)))


def view_of(neutral: Points, target: Points, pose: Pose) -> View:
    """What the net sees of a face that rests as ``neutral`` (478, 3) when its canonical points are ``target``."""
    x, y, z = target[LIPS].mean(0).tolist()
    crop, unit = crop_about(pose, SIZE, SIDE, (x, y, z)), mouth_width(neutral)
    middles = neutral[_LIP].copy()
    middles[:, 0] = neutral[list(CORNERS), 0].mean()
    middles[:, 2] += DEPTH * unit
    middles[1] += (target[_CHIN] - neutral[_CHIN]).mean(0)
    at = project(middles, pose)[:, :2] @ crop.matrix[:, :2].T + crop.matrix[:, 2]
    wide = np.linalg.norm(pose.rotation[:2, :2], axis=0) * (unit * SIZE / SIDE)
    return View(crop, np.concatenate([at, [wide, wide]], 1).astype(np.float32))


def moved(crop: Crop, box: Box) -> Crop:
    """The same square in the picture of ``box`` of the frame."""
    matrix = crop.matrix.copy()
    matrix[:, 2] += matrix[:, :2] @ box[:2]
    return Crop(matrix, crop.size)


def outlines(goal: Points, crop: Crop) -> tuple[Mask, Mask]:
    """What the lips enclose, by their outer and by their inner edge, in the crop."""
    box = (0, 0, crop.size, crop.size)
    points = goal[:, :2].astype(np.float64) @ crop.matrix[:, :2].T + crop.matrix[:, 2]
    return polygon(points[LIPS_OUTER], box), polygon(points[LIPS_INNER], box)


def room_of(goal: Points, box: Box, unit: float) -> Shares:
    """Where in ``box`` the inside may be painted: between the lips, soft at their edges."""
    return feather(polygon(goal[LIPS_INNER].astype(np.float64), box), ROOM_SOFT * unit).astype(np.float32) / 255


def feeds(image: Image, outer: Mask, inner: Mask, jaws: npt.NDArray[np.float32]) -> dict[str, npt.NDArray[np.float32]]:
    """The net's inputs for a crop."""
    drawing = scaled(np.stack([outer, inner]))
    return {"image": scaled(image.transpose(2, 0, 1)), "drawing": drawing, "jaws": jaws[None]}


def _back(found: npt.NDArray[np.float32], crop: Crop, area: Box) -> npt.NDArray[np.float32]:
    """What the net gives for the crop (size, size, 3), at the pixels of ``area``."""
    matrix = moved(crop, area).matrix
    finer = int(np.hypot(*matrix[0, :2]))  # pixels of the crop for one of the frame
    if finer > 1:  # teeth that are sampled too coarsely would flicker
        size = crop.size // finer
        found = np.asarray(cv2.resize(found, (size, size), interpolation=cv2.INTER_AREA), np.float32)
        matrix *= size / crop.size
        matrix[:, 2] += (size / crop.size - 1) / 2
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    back = cv2.warpAffine(found, matrix, area[2:], flags=how, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(back, np.float32)
