"""Mattes made exact at their edge, by what is behind the person.

MediaPipe's model sees 256 pixels a side, and smooths: hair that stands up is no person to it, and a pixel of hair and
background is all the person's. But a recording has one background, which is known from all of its pictures
(``plate.png``), and what the person is like is seen a little further in: how far a pixel is on the way from the one
colour to the other says how much of it is them.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from engines.avatar.cutting import MATTE, PICTURES
from engines.avatar.stored import Stored, coded_matte, store, stored_path
from engines.common import Array
from realtime_dub.mouth.avatar.folder import read_plate

ALPHA = "alpha"  # the kind of what is written here
OUT, IN = 1 / 20, 1 / 60  # of a picture's side: how far beyond the matte, and inside it, the edge may lie
NEIGHBOURS = 1 / 12  # of it: how wide a person's colour is averaged
PERSON = 128  # levels of a matte, from which on
APART = 48.0  # levels between person and background: where they are nearer to each other, nothing is told
NOISE = 14.0  # levels: less is light that has changed


def write_exact(folder: Path, tracks: list[str]) -> None:
    """Write ``data/alpha/`` of those tracks of an avatar that have none yet."""
    data, plate = folder / "data", read_plate(folder)
    for track in tracks:
        if not stored_path(data, ALPHA, track).exists():
            pictures, mattes = (Stored(data, kind, track) for kind in (PICTURES, MATTE))
            made = [coded_matte(exact(mattes.read(row), pictures.read(row), plate)) for row in range(len(pictures))]
            store(data, ALPHA, track, made, pictures.numbers)


def exact(matte: Array, picture: Array, plate: Array) -> Array:
    """A matte (side, side) 0..255, better at its edge; ``picture`` and ``plate`` (side, side, 3) BGR."""
    side, person = len(matte), (matte >= PERSON).astype(np.uint8)
    far, inside = cv2.dilate(person, _round(OUT * side)), cv2.erode(person, _round(IN * side))
    if not inside.any() or far.all():
        return matte
    left, top, width, height = cv2.boundingRect(far)
    part = (slice(top, top + height), slice(left, left + width))
    seen, behind = picture[part].astype(np.float32), plate[part].astype(np.float32)
    way = _near_colour(seen, inside[part], round(NEIGHBOURS * side)) - behind
    length, gone = np.square(way).sum(2), seen - behind
    share = (gone * way).sum(2) / np.maximum(length, 1)
    share = np.where(np.abs(gone).max(2) < NOISE, 0, share.clip(0, 1) * 255)
    edge = (far[part] > 0) & (inside[part] == 0) & (length > APART**2)
    out = matte.copy()
    out[part][edge] = np.rint(share[edge]).astype(np.uint8)
    return out


def _near_colour(picture: Array, certain: Array, wide: int) -> Array:
    """The mean of the pixels (h, w, 3) about each that are certain; where there are none, far away from any colour."""
    shape = (2 * wide + 1, 2 * wide + 1)
    sums = cv2.boxFilter(picture * certain[..., None], -1, shape, normalize=False)
    counts = cv2.boxFilter(certain.astype(np.float32), -1, shape, normalize=False)
    return np.asarray(sums / np.maximum(counts, 1)[..., None])


def _round(radius: float) -> Array:
    wide = 2 * round(radius) + 1
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (wide, wide))
