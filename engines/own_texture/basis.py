"""Principal components of the sparse mouth, and what the rest of the lower face does with them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engines.common import Array
from realtime_dub.face.alignment import LOWER
from realtime_dub.face.landmarks import SPARSE_LIPS

SPARSE_AT = np.searchsorted(LOWER, SPARSE_LIPS)  # places of the 20 lip points among the lower face's


@dataclass(frozen=True, eq=False)
class Basis:
    """Not centred: coefficients of zero are rest. The first component's coefficient has mean square 1."""

    analysis: Array  # (40, k): coefficients = lips @ analysis
    components: Array  # (k, points * 3): motion of the lower face = coefficients @ components
    explained: float  # share of the lip points' motion

    def coefficients(self, motion: Array) -> Array:
        """Of the lower face's motion (n, 168, 3): (n, k)."""
        return np.asarray(sparse(motion) @ self.analysis, np.float32)


def sparse(motion: Array) -> Array:
    """The 20 lip points of the lower face's motion (n, 168, 3), in the plane: (n, 40)."""
    return np.asarray(motion[:, SPARSE_AT, :2].reshape(len(motion), -1), np.float64)


def make_basis(motion: Array, count: int) -> Basis:
    """The basis of motions (n, 168, 3). The lower face follows by least squares."""
    lips = sparse(motion)
    values, vectors = np.linalg.eigh(lips.T @ lips / len(lips))
    unit = np.sqrt(max(values[-1], 1e-12))
    chosen = vectors[:, ::-1][:, :count] / unit
    coefficients = lips @ chosen
    gram = coefficients.T @ coefficients + 1e-6 * len(lips) * np.eye(count)
    components = np.linalg.solve(gram, coefficients.T @ motion.reshape(len(motion), -1).astype(np.float64))
    explained = values[::-1][:count].sum() / max(values.sum(), 1e-12)
    return Basis(chosen.astype(np.float32), components.astype(np.float32), float(explained))
