"""How a face looks, as a point: near for one person whatever the light, far for two.

Two parts, each whitened by how it varies within one person, over light, noise, distance, turns of the head, glasses and
a hand before the mouth (within-class covariance normalisation; Hatch, Kajarekar, Stolcke 2006):
histograms of gradients of brows, eyes, nose and cheeks (Dalal, Triggs 2005), and the places of points of the upper face
in canonical coordinates. Speech moves neither. One unit is the median distance of a person's face from their mean.
``python -m engines.common.make_descriptor`` makes the numbers.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from realtime_dub.face.alignment import LOWER
from realtime_dub.face.types import Face, Points
from realtime_dub.media import Floats, Image

Descriptor: TypeAlias = npt.NDArray[np.float32]  # (LENGTH,)

TEXTURE, POINTS = 48, 24  # numbers of each part, in this order
LENGTH = TEXTURE + POINTS
SIDE, ROWS = 96, 72  # pixels of the aligned crop: of its side, and the rows of it that somebody looks at
SPAN, LEFT, TOP = 3.4, -1.7, -1.2  # what it shows of the canonical face, mouth widths
DIRECTIONS, CELL = 8, 4  # of gradients; pixels
_UPPER = (slice(0, 64), slice(12, 84))  # of the crop: forehead to the base of the nose
_SMALL = (32, 28)  # width, height that the upper face is looked at in
_GRID = (_SMALL[1] // CELL, _SMALL[0] // CELL)  # cells: rows, columns
_COUNT = _GRID[0] * _GRID[1] * DIRECTIONS
_ROW, _COLUMN = np.mgrid[: _SMALL[1], : _SMALL[0]] // CELL
_CELLS = DIRECTIONS * (_ROW * _GRID[1] + _COLUMN)  # where the histogram of each pixel's cell begins
_CHEEKS_AND_FOREHEAD = ((slice(54, 70), slice(22, 34)), (slice(54, 70), slice(62, 74)), (slice(12, 24), slice(38, 58)))
_FAINT = 0.25  # levels; gradients below say nothing
_LIDS = (
    *(246, 161, 160, 159, 158, 157, 173, 7, 163, 144, 145, 153, 154, 155),
    *(466, 388, 387, 386, 385, 384, 398, 249, 390, 373, 374, 380, 381, 382),
)
UPPER_POINTS = np.setdiff1d(np.arange(468), np.concatenate([LOWER, _LIDS]))[::2]


def aligned(image: Image, face: Face) -> Image:
    """The face (ROWS, SIDE, 3), upright and of one size, without the mouth."""
    pose, turn = face.pose, face.pose.rotation[:2, :2]
    matrix = np.empty((2, 3), np.float32)
    matrix[:, :2] = pose.scale * SPAN / SIDE * turn
    matrix[:, 2] = pose.scale * (turn @ np.array([LEFT, TOP], np.float32)) + pose.shift[:2]
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    crop = cv2.warpAffine(image, matrix, (SIDE, ROWS), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(crop, np.uint8)


def texture_of(crop: Image) -> Floats:
    """The first part (TEXTURE,) of the descriptor of a face, from its aligned crop."""
    known = _weights()
    return np.asarray((histograms(crop) - known["texture_mean"]) @ known["texture"], np.float32)


def shape_of(canonical: Points) -> Floats:
    """The other part, from its canonical shape (478, 3)."""
    known = _weights()
    return np.asarray((upper_shape(canonical) - known["shape_mean"]) @ known["shape"], np.float32)


def histograms(crop: Image) -> Floats:
    """Gradients' directions (448,) in cells of the upper face, each against what is around it: light drops out."""
    grey = cv2.resize(cv2.cvtColor(crop[_UPPER], cv2.COLOR_BGR2GRAY), _SMALL, interpolation=cv2.INTER_AREA)
    across, down = (cv2.Sobel(grey, cv2.CV_32F, *order, ksize=3) for order in ((1, 0), (0, 1)))
    size, angle = cv2.cartToPolar(across, down)
    place = angle * np.float32(DIRECTIONS / (2 * np.pi))
    low = place.astype(np.intp)
    part = place - low
    total = np.bincount((_CELLS + low % DIRECTIONS).ravel(), (size * (1 - part)).ravel(), _COUNT)
    total += np.bincount((_CELLS + (low + 1) % DIRECTIONS).ravel(), (size * part).ravel(), _COUNT)
    cells = total.astype(np.float32).reshape(*_GRID, DIRECTIONS).transpose(2, 0, 1)
    around = cv2.blur(np.sqrt((cells**2).sum(0)), (3, 3)) + _FAINT
    relative = np.minimum(cells / around, 1.5).ravel()
    return np.asarray(relative / max(float(np.linalg.norm(relative)), 1e-6), np.float32)


def upper_shape(canonical: Points) -> Floats:
    """Where the points of the upper face are, in one row, mouth widths."""
    return np.asarray(canonical[UPPER_POINTS].ravel(), np.float32)


def skin(crop: Image) -> Floats:
    """The skin's colour (3,) BGR on cheeks and forehead, levels."""
    means = [cv2.mean(crop[each])[:3] for each in _CHEEKS_AND_FOREHEAD]
    return np.asarray(np.add.reduce(means, 0) / len(means), np.float32)


@cache
def _weights() -> dict[str, Floats]:
    with files("realtime_dub.face").joinpath("descriptor.npz").open("rb") as stream:
        data = np.load(stream, allow_pickle=False)
        return {name: data[name].astype(np.float32) for name in data.files}
