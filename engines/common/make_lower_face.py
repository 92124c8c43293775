"""Makes ``realtime_dub/face/lower_face.npy``: how the lower face moves with 20 points of the lips.

``python -m engines.common.make_lower_face PREPARED [PREPARED ...]`` with folders of ``prepare-dataset``. A ridge
regression over the training tracks, every speaker as heavy as any other.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path

import numpy as np

from engines.common import Array
from engines.common.dataset import Dataset
from realtime_dub.face import alignment
from realtime_dub.face.sparse_lips import LIPS_AT

RIDGE = 1e-3  # of the mean square of a lip point's movement
MOST_TRACKS = 60  # of a speaker
OUT = Path(alignment.__file__).with_name("lower_face.npy")


def fitted(motions: list[Array]) -> Array:
    """The map (40, points * 3) of each speaker's movements (n, points, 3)."""
    products, crossed = np.zeros((40, 40)), np.zeros((40, motions[0][0].size))
    for motion in motions:
        lips = motion[:, LIPS_AT, :2].reshape(len(motion), -1).astype(np.float64)
        products += lips.T @ lips / len(lips)
        crossed += lips.T @ motion.reshape(len(motion), -1).astype(np.float64) / len(lips)
    ridge = RIDGE * np.trace(products) / len(products) * np.eye(len(products))
    return np.asarray(np.linalg.solve(products + ridge, crossed), np.float32)


def explained(table: Array, motion: Array) -> float:
    """Share of the movements' energy (n, points, 3) that the map gives from their lips."""
    flat = motion.reshape(len(motion), -1)
    missed: Array = flat - motion[:, LIPS_AT, :2].reshape(len(motion), -1) @ table
    return float(1 - (missed**2).sum() / (flat**2).sum())


def main() -> None:
    dataset = Dataset(*map(Path, sys.argv[1:]))
    own: dict[str, list[Array]] = defaultdict(list)
    for entry in dataset.part("train"):
        if len(own[entry.speaker]) < MOST_TRACKS:
            own[entry.speaker].append(dataset.clip(entry).motion)
    table = fitted([np.concatenate(each) for each in own.values()])
    np.save(OUT, table.astype(np.float16))
    held = np.concatenate([dataset.clip(entry).motion for entry in dataset.part("validation")])
    print(f"{OUT}: {len(own)} speakers, {explained(table, held):.3f} of the held-out movement explained")


if __name__ == "__main__":
    main()
