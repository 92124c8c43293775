"""What a face and a scene look like by stated rules, for the network's slots: nothing here is learnt.

**Valence and arousal of a face.** How far brows, lids, corners of the lips and jaw are from their rest, in mouth
widths, are action units (Ekman, Friesen: Facial Action Coding System, 1978). Which of them an emotion has is Friesen's
and Ekman's EMFACS (1983): all of them have to be there. Where an emotion lies between pleasant and unpleasant, calm and
excited is Russell's circle (A circumplex model of affect, 1980). Half a second is averaged, so that speech, which moves
the lips quicker, counts less. Nobody has compared it with what people see in faces.

**A scene** is colours and brightness in nine fields, how bright is how much of it, and how much of it is edges.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from realtime_dub.face.alignment import neutral_shape
from realtime_dub.face.landmarks import CORNERS, NOSE_BASE, mean_lip_opening
from realtime_dub.media import Floats

VECTOR = 256
AVERAGED_S = 0.5
SCALE = 4.0  # of what the network is shown
BROWS, INNER_BROWS = np.array([105, 66, 107, 334, 296, 336]), (107, 336)
LIDS = np.array([[159, 145], [386, 374]])  # upper and lower
BETWEEN_EYES = 168
UNITS = ("1+2", "4", "5", "12", "15", "26")
FULL = np.array([0.15, 0.06, 0.06, 0.10, 0.06, 0.40])  # mouth widths that are a whole unit
# By emotion its units, and its angle on Russell's circle, degrees: 0 is pleasant, 90 excited.
EMOTIONS: dict[str, tuple[tuple[str, ...], float]] = {
    "happy": (("12",), 7.8),
    "surprise": (("1+2", "5", "26"), 69.8),
    "angry": (("4", "5"), 99.0),
    "fear": (("1+2", "4", "5"), 116.0),
    "sad": (("4", "15"), 207.5),
}
LOOKED_AT = (32, 18)  # pixels of a scene
FIELDS, SHADES = 3, 8  # to a side; of grey
LOOK = 3 * FIELDS**2 + SHADES + 8  # numbers
Doubles = npt.NDArray[np.float64]


def face_features(canonical: Floats, fps: float) -> Floats:
    """(t, 256) of faces (t, 478, 3): valence, arousal, the emotions, the units; zeros behind."""
    units = action_units(canonical)
    count = max(1, round(AVERAGED_S * fps))
    kernel = np.ones(min(count, len(units)))
    there = np.convolve(np.ones(len(units)), kernel, "same")
    units = np.stack([np.convolve(row, kernel, "same") / there for row in units.T], 1)
    felt = np.stack([units[:, [UNITS.index(unit) for unit in own]].min(1) for own, _ in EMOTIONS.values()], 1)
    angles = np.radians([angle for _, angle in EMOTIONS.values()])
    rows = SCALE * np.concatenate([felt @ np.stack([np.cos(angles), np.sin(angles)], 1), felt, units], 1)
    return np.pad(rows, ((0, 0), (0, VECTOR - rows.shape[1]))).astype(np.float32)


def action_units(canonical: Floats) -> Doubles:
    """(t, 6) in the order of UNITS, 0 = at rest, 1 = wholly there; of faces (t, 478, 3) in mouth widths."""
    rest = neutral_shape(canonical)
    moved = _distances(canonical) - _distances(rest[None])
    raised, together, opened, corners, jaw = moved.T
    units = np.stack([raised, -together, opened, corners, -corners, jaw], 1) / FULL
    return np.asarray(np.clip(units, 0, 1))


def _distances(faces: Floats) -> Doubles:
    """(t, 5): how high brows are, how far apart; how open eyes; how high the lips' corners, how open the lips."""
    height = -faces[..., 1].astype(np.float64)
    brows = height[:, BROWS].mean(1) - height[:, BETWEEN_EYES]
    apart = np.linalg.norm(faces[:, INNER_BROWS[0]] - faces[:, INNER_BROWS[1]], axis=-1)
    eyes = (height[:, LIDS[:, 0]] - height[:, LIDS[:, 1]]).mean(1)
    corners = height[:, list(CORNERS)].mean(1) - height[:, NOSE_BASE]
    return np.stack([brows, apart, eyes, corners, mean_lip_opening(faces)], 1)


def look_of(image: npt.NDArray[np.uint8]) -> Floats:
    """(LOOK,) in 0..1 of a picture (H, W, 3) BGR."""
    small = cv2.resize(image, LOOKED_AT, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    rows = [np.array_split(band, FIELDS, 1) for band in np.array_split(small, FIELDS, 0)]
    fields = np.array([field.mean((0, 1)) for row in rows for field in row]).ravel()
    grey = small.mean(2)
    shades = np.histogram(grey, SHADES, (0, 1))[0] / grey.size
    edges = [np.abs(np.diff(grey, axis=axis)).mean() for axis in (0, 1)]
    spread = small.std((0, 1))
    return np.asarray(np.concatenate([fields, shades, edges, spread, small.mean((0, 1))]), np.float32)


def scene_features(looks: Floats) -> Floats:
    """(256,) of the looks (n, LOOK) of a stretch of film: their mean, and how they change; zeros behind."""
    vector = SCALE * np.concatenate([looks.mean(0) - 0.5, looks.std(0)])
    return np.pad(vector, (0, VECTOR - len(vector))).astype(np.float32)
