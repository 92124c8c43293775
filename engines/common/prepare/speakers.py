"""Who is who, where the layout does not say: tracks are grouped by the shape of the face and the colour of the voice.

Means, not recognition: good enough to keep one person's tracks out of both training and test. Two people whose faces
are alike become one group, which only makes the split coarser. Limits were set on GRID: of its speakers s1, s26, s02
and four others, tracks of one differ by 0.013 in the face's shape (0.020 at the 95th percentile), of two by 0.020 at
least; voices by 0.16 (0.31) and 0.12.
"""

from __future__ import annotations

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import pdist

from engines.common import Array
from realtime_dub.face.alignment import LOWER

STILL = np.setdiff1d(np.arange(468), LOWER)  # points that speech does not move
FACE_UNIT, VOICE_UNIT = 0.019, 0.6
SAME = 1.05  # tracks nearer than this, on average, are one person's
MOST = 3000  # tracks grouped by their distances; the others join the nearest group


def signature(canonical: Array, mel: Array) -> Array:
    """What tells people apart (d,): Euclidean distance of two signatures is about 1 between different people."""
    face = canonical[:, STILL, :2].mean(0).reshape(-1) / (FACE_UNIT * np.sqrt(len(STILL)))
    level = mel.mean(1)
    voice = mel[level > np.quantile(level, 0.6)].mean(0) if len(mel) else np.zeros(mel.shape[1])
    voice = (voice - voice.mean()) / (VOICE_UNIT * np.sqrt(len(voice)))
    return np.concatenate([face, voice]).astype(np.float32)


def group(signatures: Array) -> list[str]:
    """A label for each signature (n, d)."""
    if len(signatures) < 2:
        return ["person01"] * len(signatures)
    chosen = np.unique(np.linspace(0, len(signatures) - 1, min(MOST, len(signatures))).astype(int))
    found = fcluster(linkage(pdist(signatures[chosen]), "average"), SAME, "distance")
    centres = np.stack([signatures[chosen][found == number].mean(0) for number in range(1, found.max() + 1)])
    nearest = [int(np.linalg.norm(centres - row, axis=1).argmin()) for row in signatures]
    # Numbered in the order in which they are met, so that the labels say nothing of the clustering's insides.
    order = list(dict.fromkeys(nearest))
    return [f"person{order.index(number) + 1:02}" for number in nearest]
