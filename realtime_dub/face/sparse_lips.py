"""How the whole lower face moves where only 20 points of the lips are known: the scheme of 68 has no more.

A linear map, learnt from people who talk (``engines/common/make_lower_face.py``): depth, cheeks and jaw go along with
the lips as they do on the average.
"""

from __future__ import annotations

import functools
from importlib.resources import files

import numpy as np

from realtime_dub.face.alignment import LOWER
from realtime_dub.face.scheme68 import MOUTH
from realtime_dub.media import Floats

LIPS_AT = np.searchsorted(LOWER, MOUTH)  # the 20 among the points of the lower face


@functools.cache
def _map() -> Floats:
    with files("realtime_dub.face").joinpath("lower_face.npy").open("rb") as stream:
        return np.asarray(np.load(stream, allow_pickle=False), np.float32)


def lower_face(lips: Floats) -> Floats:
    """Movements (..., len(LOWER), 3) that belong to those of the lips (..., 20, 2), in the same units.

    The 20 points themselves go exactly where they were said to.
    """
    around = lips.shape[:-2]
    moved = (lips.reshape(*around, -1) @ _map()).reshape(*around, len(LOWER), 3)
    moved[..., LIPS_AT, :2] = lips
    return np.asarray(moved, np.float32)
