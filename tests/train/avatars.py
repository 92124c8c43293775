"""Recordings of one person, with a face and without, and what an avatar of them is learnt by in seconds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from tiny import FRAMES, write_track

from engines.avatar.join import join
from engines.avatar_head.recording import LIDS
from realtime_dub.config import FileConfig, build
from realtime_dub.face.alignment import TEMPLATE
from realtime_dub.pipeline.file.run import run_file

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

SIZE = 64
RECIPE = """
threads = 1
[picture.plan]
steps = {steps}
rate = 4e-3
warm_up = 1
check_every = {check_every}
average = 0.9
[picture.engine]
size = 64
widths = [8, 12, 16]
judges = [6, 6]
batch = 3
triples = 1
alone = {alone}
[motion.engine]
steps = {motion}
"""


def recipe(path: Path, steps: int = 50, check_every: int = 25, alone: int = 40, motion: int = 2) -> Path:
    """A ``--config`` of ``train-engine avatar`` that is learnt by within seconds."""
    path.write_text(RECIPE.format(steps=steps, check_every=check_every, alone=alone, motion=motion))
    return path


def make_film(path: Path, seconds: float = 5.6) -> Path:
    """The built-in face that says the built-in voice, as this program draws it."""
    given = {"input": "demo", "mic": "demo", "width": 320, "height": 240, "seconds": seconds, "preset": "ultrafast"}
    run_file(build(FileConfig, **given, output=path, quiet=True))
    return path


def long_film(path: Path, times: int = 3) -> Path:
    """All that the built-in voice says, so many times: of three there are two tracks, for a motion to be learnt of."""
    join([make_film(path.with_name("once.mkv"), 60.0)] * times, path)
    return path


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
