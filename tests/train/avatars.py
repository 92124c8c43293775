"""A recording of one person who moves the head, blinks and opens the mouth with the loudness of a noise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from tiny import FRAMES, write_track

from engines.avatar_head.recording import LIDS
from realtime_dub.face.alignment import TEMPLATE

BLINK = (0.4, 0.9, 1.0, 0.7, 0.3)  # how far eyes are shut, frame by frame
SMALL = """
[expression]
plan = { steps = 4, check_every = 2 }
engine = { batch = 4, components = 6, validation_tracks = 2 }
"""
SMALL_HEAD = """
[head]
plan = { steps = 4, check_every = 2 }
engine = { batch = 2, frames = 40, told = 8, channels = 8, skip = 8 }
"""


def recorded(root: Path, tracks: int = 6, held: int = 2, speaker: str = "ann") -> Path:
    """A prepared folder of two seconds a track, each with one blink and a nod."""
    for index in range(tracks):
        part = "validation" if index >= tracks - held else "train"
        write_track(root, f"t{index}", index, part, speaker)
        _enliven(root / "tracks" / f"t{index}.npz", index)
    return root


def _enliven(path: Path, index: int) -> None:
    with np.load(path) as stored:
        arrays = dict(stored)
    upper, lower = LIDS.T
    first = 15 + 2 * index
    for frame, shut in enumerate(BLINK, first):
        arrays["canonical"][frame, upper] += shut * 0.9 * (TEMPLATE[lower] - TEMPLATE[upper])
    nod = 0.1 * np.sin(np.arange(FRAMES) / 8 + index)
    cos, sin = np.cos(nod), np.sin(nod)
    turns = np.zeros((FRAMES, 3, 3), np.float32)
    turns[:, 0, 0], turns[:, 1, 1], turns[:, 2, 2] = 1, cos, cos
    turns[:, 1, 2], turns[:, 2, 1] = -sin, sin
    arrays["rotation"] = turns
    arrays["shift"] = (arrays["shift"] + 20 * np.column_stack([np.zeros(FRAMES), nod, nod])).astype(np.float32)
    np.savez(path, **arrays)
