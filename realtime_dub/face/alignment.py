"""The canonical face: landmarks with the head's position, size and turn taken out.

A similarity with rotation in three dimensions is fitted to the points that speech does not move (Procrustes; Umeyama
1991). The template is the mirrored mean of training faces, looking straight ahead: x to the picture's right, y down,
z away from the camera, origin at the mean of the stable points, one unit = one width of a resting mouth.
"""

from __future__ import annotations

from importlib.resources import files

import cv2
import numpy as np
import numpy.typing as npt

from realtime_dub.face.landmarks import CORNERS, NOSE_BASE, STABLE, mean_lip_opening
from realtime_dub.face.types import Face, Points, Pose


def _load_template() -> Points:
    with files("realtime_dub.face").joinpath("template.npy").open("rb") as stream:
        return np.asarray(np.load(stream, allow_pickle=False), np.float32)


TEMPLATE = _load_template()  # (478, 3)
_STABLE_TEMPLATE = TEMPLATE[STABLE].astype(np.float64)
_STABLE_MEAN = _STABLE_TEMPLATE.mean(0)
_STABLE_CENTRED = _STABLE_TEMPLATE - _STABLE_MEAN
_STABLE_SIZE = (_STABLE_CENTRED**2).sum()

# Every point of the lower face, in order of index: what the motion net moves. Lips included, nose not.
LOWER = np.flatnonzero(TEMPLATE[:468, 1] > TEMPLATE[NOSE_BASE, 1] + 0.03)


def fit_pose(points: Points) -> Pose:
    """The pose of a face (478, 3) in pixels."""
    # Of so few numbers NumPy's own functions take three times as long as these.
    stable = points.take(STABLE, axis=0).astype(np.float64)
    mean = np.add.reduce(stable, 0) / len(stable)
    stable -= mean
    s, u, vt = cv2.SVDecomp(stable.T @ _STABLE_CENTRED)
    rotation = u @ vt
    size = float(np.add.reduce(s, None))
    if cv2.determinant(rotation) < 0:
        u[:, 2] *= -1
        rotation, size = u @ vt, size - 2 * float(s[2, 0])
    scale = size / _STABLE_SIZE
    shift = mean - scale * (rotation @ _STABLE_MEAN)
    return Pose(rotation.astype(np.float32), float(scale), shift.astype(np.float32))


def canonicalise(points: Points) -> Face:
    """Split landmarks (478, 3) in pixels into pose and canonical shape."""
    pose = fit_pose(points)
    canonical = (points - pose.shift) @ pose.rotation
    canonical /= np.float32(pose.scale)
    return Face(points=points, canonical=canonical, pose=pose)


def project(canonical: Points, pose: Pose) -> Points:
    """Canonical points (n, 3) back into the frame, pixels."""
    points = canonical @ pose.rotation.T
    points *= np.float32(pose.scale)
    points += pose.shift
    return points


def mouth_width(canonical: Points) -> float:
    """Distance of the corners of the mouth in template units."""
    apart = canonical[CORNERS[0]] - canonical[CORNERS[1]]
    return float(np.sqrt(apart.dot(apart)))  # asked for often: np.linalg.norm takes three times as long


def neutral_shape(canonical: npt.NDArray[np.float32], share: float = 0.4) -> Points:
    """The resting face (478, 3) of a stretch of frames (n, 478, 3): the median of the ``share`` least open ones.

    Training, enrolment and the live bank all start from this one definition, so that motion means the same everywhere.
    """
    openings = mean_lip_opening(canonical)
    chosen = canonical[openings <= np.quantile(openings, share)]
    return np.asarray(np.median(chosen, axis=0), np.float32)


__all__ = ["LOWER", "TEMPLATE", "canonicalise", "fit_pose", "mouth_width", "neutral_shape", "project"]
