"""The mark of a picture: a tile that repeats over the frame, measured in lines of a frame of 288.

Its waves are 7 to 20 such lines long: shorter ones do not outlast coding, longer ones drown in what is to be seen.
The tile goes with the frame's height, so it is the same film at any size. Its sign turns each second: what stands
still in the picture is the same under both signs and cancels out.
"""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
import numpy.typing as npt

from realtime_dub.media import NS
from realtime_dub.trust.marks.payload import Payload
from realtime_dub.trust.marks.waves import KEY, Waves

LINES = 288  # the height in which the tile is measured
TILE = 192
SHORTEST, LONGEST = 7.0, 20.0  # waves
TURN_NS = NS  # how long a sign lasts

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


@cache
def places() -> tuple[Ints, Ints]:
    """Row and column, in the tile's spectrum, of each wave: one of every two that mirror each other."""
    each = np.fft.fftfreq(TILE)
    rows, columns = np.meshgrid(each, each, indexing="ij")
    length = np.hypot(rows, columns)
    half = (rows > 0) | ((rows == 0) & (columns > 0))
    at = np.nonzero((length <= 1 / SHORTEST) & (length >= 1 / LONGEST) & half)
    return at[0], at[1]


@cache
def waves(key: str = KEY) -> Waves:
    return Waves.of(len(places()[0]), "picture", key)


def tile(payload: Payload, key: str = KEY) -> Floats:
    """(TILE, TILE) of mean 0 and deviation 1."""
    spectrum = np.zeros((TILE, TILE), np.complex128)
    spectrum[places()] = waves(key).carry(payload)
    image = np.fft.ifft2(spectrum).real
    return np.asarray(image / image.std(), np.float32)


def laid(image: Floats, width: int, height: int) -> Floats:
    """(height, width): the tile ``image`` over a frame, at its size there."""
    scale = LINES / height
    columns, rows = ((np.arange(size, dtype=np.float32) + 0.5) * scale - 0.5 for size in (width, height))
    around = np.pad(image, ((1, 2), (1, 2)), mode="wrap")
    at_columns, at_rows = np.meshgrid(columns % TILE + 1, rows % TILE + 1)
    return np.asarray(cv2.remap(around, at_columns, at_rows, cv2.INTER_LINEAR), np.float32)


def turn(at_ns: int) -> tuple[int, int]:
    """The mark's sign at an instant, and how much of it there is: 0, 1 = half, 2 = all."""
    turns, within = divmod(at_ns, TURN_NS)
    near = min(within, TURN_NS - within)
    level = 0 if near < 0.03 * NS else 1 if near < 0.11 * NS else 2
    return (-1 if turns % 2 else 1), level
