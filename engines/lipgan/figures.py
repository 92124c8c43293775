"""Painters on tracks that they do not know: how far their faces are from the real ones, and whether the mouth moves."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from engines.common import Array
from engines.common.engine import Samples
from engines.common.video_metrics import correlation
from engines.lipgan.draws import Batch, as_images, shown
from engines.lipgan.faces import Faces
from realtime_dub.face.alignment import TEMPLATE, canonicalise
from realtime_dub.face.crop import crop_of
from realtime_dub.face.landmarks import LIPS_INNER, LIPS_OUTER
from realtime_dub.inference.spec import CropSpec

TOGETHER = 25  # faces in one call
COLUMNS = 10  # moments of a track in a collage
Cut = Callable[[Batch], Batch]  # what the net is shown of what is kept


def tracks_of(faces: Faces, most: int) -> list[int]:
    """Up to ``most`` tracks, as many of each person, evenly chosen."""
    speakers = faces.index.speakers
    people = np.unique(speakers)
    chosen: list[int] = []
    for name in people:
        own = np.flatnonzero(speakers == name)
        count = min(max(1, most // len(people)), len(own))
        chosen += own[np.linspace(0, len(own) - 1, count).round().astype(int)].tolist()
    return chosen


def painted(net: nn.Module, batch: Batch) -> Tensor:
    """What a net paints, in the net's own place, a few faces at a time."""
    device = next(net.parameters()).device
    parts = zip(*(each.split(TOGETHER) for each in (batch.mel, batch.face, batch.reference)), strict=True)
    with torch.inference_mode():
        return torch.cat([net(*(each.to(device) for each in part)).float().cpu() for part in parts])


def judged(net: nn.Module, faces: Faces, tracks: Sequence[int], crop: CropSpec, cut: Cut) -> dict[str, float]:
    """``hidden``: of the rows that were hidden; ``mouth``: of the square around the lips; ``r``: of its movement;
    ``sharp``: the size of its gradient, as a share of the real one's.

    Movement is how far the lips' inside is along the line from what it looks like shut to what it looks like open, as
    the track itself has it: the picture's own measure, that asks no tracker. Mean over tracks.
    """
    hidden = round(crop.hidden_from * crop.size)
    top, bottom, left, right = mouth_box(crop)
    l1, mouth, r, sharp = [], [], [], []
    for track in tracks:
        batch = cut(shown(faces, track, 2))
        found = painted(net, batch)
        apart = (found - batch.face).abs()
        l1.append(float(apart[:, :, hidden:].mean()))
        mouth.append(float(apart[:, :, top:bottom, left:right].mean()))
        square = slice(None), slice(None), slice(top, bottom), slice(left, right)
        curves = movement(found[square], batch.face[square], faces.index.opening[batch.rows])
        r.append(correlation(*curves))
        sharp.append(gradient(found[square]) / gradient(batch.face[square]))
    means = {"hidden": l1, "mouth": mouth, "r": r, "sharp": sharp}
    return {name: round(float(np.mean(values)), 4) for name, values in means.items()}


def gradient(images: Tensor) -> float:
    """The mean size of differences between neighbouring pixels (n, c, h, w)."""
    down, across = images[:, :, 1:, :-1] - images[:, :, :-1, :-1], images[:, :, :-1, 1:] - images[:, :, :-1, :-1]
    return float(torch.hypot(down, across).mean())


def movement(found: Tensor, real: Tensor, opening: Array) -> tuple[Array, Array]:
    """How far mouths (n, 3, h, w) are open (n,), by the look of the real ones: those found, and the real ones."""
    flat = real.flatten(1).numpy()
    order = np.argsort(opening)
    few = max(1, len(order) // 5)
    line = flat[order[-few:]].mean(0) - flat[order[:few]].mean(0)
    return found.flatten(1).numpy() @ line, flat @ line


def mouth_box(crop: CropSpec, room: float = 0.25) -> tuple[int, int, int, int]:
    """Top, bottom, left and right of the lips in the crop, as the template has them, and some room."""
    face = canonicalise(TEMPLATE * 100)
    there = crop_of(face, crop.size, crop.alignment, crop.margins)
    lips = face.points[np.concatenate([LIPS_OUTER, LIPS_INNER]), :2] @ there.matrix[:, :2].T + there.matrix[:, 2]
    low, high = lips.min(0), lips.max(0)
    wide = room * float(high[0] - low[0])
    left, top = np.floor(low - wide).astype(int)
    right, bottom = np.ceil(high + wide).astype(int) + 1
    return max(0, top), min(crop.size, bottom), max(0, left), min(crop.size, right)


def mouth_weight(crop: CropSpec, more: float) -> Tensor:
    """Weights (1, 1, size, size) of a loss: 1, and ``more`` besides at the mouth, falling off smoothly."""
    top, bottom, left, right = mouth_box(crop, 0.0)
    weights = np.zeros((crop.size, crop.size), np.float32)
    weights[top:bottom, left:right] = 1
    blurred = cv2.GaussianBlur(weights, (0, 0), (right - left) / 8)
    return torch.from_numpy(1 + more * blurred)[None, None]


def collages(net: nn.Module, faces: Faces, tracks: Sequence[int], cut: Cut) -> Samples:
    """Of each track some moments: the other face, the real one and the painted one, below each other."""
    pictures, curves = {}, {}
    for track in tracks:
        batch = cut(shown(faces, track))
        found = painted(net, batch)
        name = str(faces.index.names[track])
        at = np.linspace(0, len(found) - 1, COLUMNS).astype(int)
        rows = [np.concatenate(list(as_images(each[at])), 1) for each in (batch.reference, batch.face, found)]
        pictures[f"painted/{name}"] = np.concatenate(rows, 0)[..., ::-1].copy()
        moved = movement(found, batch.face, faces.index.opening[batch.rows])
        curves[f"movement/{name}"] = dict(zip(("painted", "real"), moved, strict=True))
    return Samples(curves=curves, pictures=pictures)
