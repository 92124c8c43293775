"""Teeth and tongue between lips that nobody has seen so far apart: a photograph, a person not yet heard.

A net is told where the lips are to be, where the rows of teeth are behind them, upper ones with the head and lower ones
with the jaw, and how the drawn face is lit. It says what is to be painted. That is put between the lips, nowhere
else, and no more of it than is missing: a mouth of the bank that is open enough stays as it is, to the pixel.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from realtime_dub.blend.masks import Mask, around, feather, fill, polygon
from realtime_dub.blend.warp import Box
from realtime_dub.face.alignment import mouth_width, project
from realtime_dub.face.crop import Crop, crop_about
from realtime_dub.face.landmarks import CHIN, CORNERS, LIPS, LIPS_INNER, LIPS_OUTER, mean
from realtime_dub.face.types import Points, Pose
from realtime_dub.inference import AUTO
from realtime_dub.inference.bundle import part_session
from realtime_dub.media import MS, Image
from realtime_dub.mouth.fade import Fade
from realtime_dub.mouth.mouthbank.cavity import missing
from realtime_dub.mouth.mouthbank.occlusion_view import scaled

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
        lips = goal[LIPS_INNER, :2].astype(np.float64)
        area = around(lips, 4 * ROOM_SOFT * unit + 1, box)
        share *= self._fade(float(not self.short), at_ns)
        if share <= 0 or min(area[2:]) < 1:
            return
        given = feeds(_colours(region, moved(view.crop, box)), outlines(goal, view.crop), view.jaws)
        colours = _back(self._session.run(given)["painted"][0], view.crop, area)
        weight = room_of(lips, area, unit)
        weight *= np.float32(share)
        x, y = area[0] - box[0], area[1] - box[1]
        below = region[y : y + area[3], x : x + area[2]]
        colours *= np.float32(255)
        colours -= below
        colours *= cv2.merge([weight] * 3)
        colours += below
        colours += np.float32(0.5)
        below[:] = colours


def lacking(opening: float, widest: float) -> float:
    """What share of the inside of a mouth is painted: what is to be seen of it, and is in none that was seen, of which
    the ``widest`` was open so far.
    """
    return missing(opening, widest) * min(1.0, max(0.0, (opening - SLIT) / (OPEN - SLIT)))


def view_of(neutral: Points, target: Points, pose: Pose) -> View:
    """What the net sees of a face that rests as ``neutral`` (478, 3) when its canonical points are ``target``."""
    x, y, z = mean(target[LIPS]).tolist()
    crop, unit = crop_about(pose, SIZE, SIDE, (x, y, z)), mouth_width(neutral)
    middles = neutral[_LIP].copy()
    middles[:, 0] = (neutral[CORNERS[0], 0] + neutral[CORNERS[1], 0]) / 2
    middles[:, 2] += DEPTH * unit
    middles[1] += mean(target[_CHIN] - neutral[_CHIN])
    jaws = np.empty((2, 4), np.float32)
    jaws[:, :2] = project(middles, pose)[:, :2] @ crop.matrix[:, :2].T + crop.matrix[:, 2]
    turned = pose.rotation[:2, :2]
    jaws[:, 2:] = np.sqrt(np.add.reduce(turned * turned, 0)) * np.float32(unit * SIZE / SIDE)
    return View(crop, jaws)


def moved(crop: Crop, box: Box) -> Crop:
    """The same square in the picture of ``box`` of the frame."""
    (a, b, c), (d, e, f) = crop.matrix.tolist()  # of six numbers NumPy makes five times the work
    x, y = box[:2]
    return Crop(np.array([[a, b, c + a * x + b * y], [d, e, f + d * x + e * y]]), crop.size)


def outlines(goal: Points, crop: Crop) -> Mask:
    """What the lips enclose, by their outer and by their inner edge (2, size, size), in the crop."""
    points = goal[LIPS, :2].astype(np.float64) @ crop.matrix[:, :2].T + crop.matrix[:, 2]
    masks = np.zeros((2, crop.size, crop.size), np.uint8)
    fill(masks[0], points[: len(LIPS_OUTER)])
    fill(masks[1], points[len(LIPS_OUTER) :])
    return masks


def room_of(lips: npt.NDArray[np.float64], box: Box, unit: float) -> Shares:
    """Where in ``box`` the inside may be painted: between the inner ``lips`` (20, 2), soft at their edges."""
    room = feather(polygon(lips, box), ROOM_SOFT * unit).astype(np.float32)
    room /= 255
    return room


def feeds(image: Image, outlined: Mask, jaws: npt.NDArray[np.float32]) -> dict[str, npt.NDArray[np.float32]]:
    """The net's inputs for a crop."""
    return {"image": scaled(np.stack(cv2.split(image))), "drawing": scaled(outlined), "jaws": jaws[None]}


def _colours(region: Image, crop: Crop) -> Image:
    """The crop, each pixel of it the nearest of the picture's: the net takes the means of skin and lips of it."""
    size = (crop.size, crop.size)
    return np.asarray(
        cv2.warpAffine(region, crop.matrix, size, flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
    )


def _back(painted: npt.NDArray[np.float32], crop: Crop, area: Box) -> npt.NDArray[np.float32]:
    """What the net gives for the crop (3, size, size), at the pixels of ``area`` (height, width, 3)."""
    found = np.asarray(cv2.merge([*painted]), np.float32)
    matrix = moved(crop, area).matrix
    finer = int(math.hypot(*matrix[0, :2].tolist()))  # pixels of the crop for one of the frame
    if finer > 1:  # teeth that are sampled too coarsely would flicker
        size = crop.size // finer
        found = np.asarray(cv2.resize(found, (size, size), interpolation=cv2.INTER_AREA), np.float32)
        matrix *= size / crop.size
        matrix[:, 2] += (size / crop.size - 1) / 2
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    back = cv2.warpAffine(found, matrix, area[2:], flags=how, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(back, np.float32)
