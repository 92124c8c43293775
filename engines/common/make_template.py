"""Make ``realtime_dub/face/template.npy``: the mirrored mean face that canonical coordinates refer to.

``python -m engines.common.make_template PREPARED...`` of folders that prepare-dataset has made of videos.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from scipy.optimize import linear_sum_assignment

from engines.common.dataset import Dataset
from realtime_dub.face.landmarks import CORNERS, STABLE

ROUNDS = 6
OUT = Path(__file__).parents[2] / "realtime_dub" / "face" / "template.npy"


def similarity(source: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, float, np.ndarray]:
    """Rotation, scale and shift that take ``source`` (n, 3) nearest to ``target`` (Umeyama 1991)."""
    source_mean, target_mean = source.mean(0), target.mean(0)
    a, b = source - source_mean, target - target_mean
    u, s, vt = np.linalg.svd(b.T @ a)
    sign = np.diag([1, 1, np.sign(np.linalg.det(u @ vt))])
    rotation = u @ sign @ vt
    scale = (s * np.diag(sign)).sum() / (a**2).sum()
    return rotation, scale, target_mean - scale * rotation @ source_mean


def face_axes(shape: np.ndarray) -> np.ndarray:
    """Columns: to the picture's right, down, away."""
    x = shape[263] - shape[33]
    x /= np.linalg.norm(x)
    y = shape[152] - shape[10]
    y -= x * (y @ x)
    y /= np.linalg.norm(y)
    return np.stack([x, y, np.cross(x, y)], 1)


def mirror_pairs(shape: np.ndarray) -> np.ndarray:
    """For each point the one that is its mirror image."""
    mirrored = shape * [-1, 1, 1]
    distance = np.linalg.norm((mirrored - mirrored.mean(0))[:, None] - (shape - shape.mean(0))[None], axis=-1)
    return linear_sum_assignment(distance**2)[1]


def symmetric(shape: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """The mean of a shape and its mirror image, centred on the stable points, mouth width 1."""
    mirrored = (shape * [-1, 1, 1])[pairs]
    rotation, scale, shift = similarity(mirrored, shape)
    shape = (shape + scale * mirrored @ rotation.T + shift) / 2
    shape = (shape - shape[STABLE].mean(0)) @ face_axes(shape)
    return shape / np.linalg.norm(shape[CORNERS[0]] - shape[CORNERS[1]])


def mean_face(faces: np.ndarray) -> np.ndarray:
    """Generalised Procrustes over (n, 478, 3), fitted to the stable points only."""
    template = faces[0]
    pairs = None
    for _ in range(ROUNDS):
        total = np.zeros_like(template)
        for face in faces:
            rotation, scale, shift = similarity(face[STABLE], template[STABLE])
            total += scale * face @ rotation.T + shift
        mean = total / len(faces)
        mean = (mean - mean[STABLE].mean(0)) @ face_axes(mean)
        pairs = mirror_pairs(mean) if pairs is None else pairs
        template = symmetric(mean, pairs)
    return template


def faces_in(dataset: Dataset) -> np.ndarray:
    """Every fifth face of the filmed tracks (n, 478, 3), pixels."""
    tracks = (dataset.load(entry) for entry in dataset.entries if entry.filmed)
    return np.concatenate([track.landmarks()[track.seen][::5] for track in tracks]).astype(np.float64)


def main(folders: list[str]) -> None:
    np.save(OUT, mean_face(faces_in(Dataset(*map(Path, folders)))).astype(np.float32))


if __name__ == "__main__":
    main(sys.argv[1:])
