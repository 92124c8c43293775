"""Other faces out of the few that were filmed: moved about, bent, mirrored, in other light and of other colours.

Both faces of a row are treated alike, and their points go with them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from engines.common import Array
from engines.lipgan.draws import Batch
from engines.lipgan.slim import SIZE

ROOM = 4  # pixels around the crop, by which it is moved about
OTHER_ROOM = 1  # ..., the other face apart from it
LIGHT, COLOUR, GAMMA = 0.25, 0.12, 0.25  # by how much faces are made lighter, of another colour, of another contrast
SCALE, SIDES, TURN = 0.07, 0.06, 0.06  # by how much larger, wider than high, turned (radians)
BEND, KNOTS = 1.5, 5  # pixels by which parts of a face are moved apart, and how many parts a side
SHADES = 7  # parts a side that are made lighter or darker by themselves


@dataclass(frozen=True)
class Amounts:
    """How much of each; 1 is as much as above."""

    light: float = 1.0
    bent: float = 0.0  # in every other row
    shade: float = 0.0  # logarithm of the light of a part, at most


def middle(batch: Batch) -> Batch:
    """What the net is shown in use: without the room around it."""
    inside = slice(ROOM, ROOM + SIZE)
    face, reference = (each[:, :, inside, inside] for each in (batch.face, batch.reference))
    return replace(batch, face=face, reference=reference, points=batch.points - ROOM)


def disturbed(batch: Batch, rng: np.random.Generator, amounts: Amounts) -> Batch:
    """The faces of ``batch``, which have the room, otherwise and without it."""
    return _lit(_placed(batch, rng, amounts.bent), rng, amounts)


def _placed(batch: Batch, rng: np.random.Generator, bent: float) -> Batch:
    """Each pixel at ``c`` from the middle is taken from ``turn @ c + shift + bend(c)``; no row is blurred that is not
    bent.
    """
    count = len(batch.rows)
    most = bent * (np.arange(count) % 2)[:, None]
    turn = torch.from_numpy(_turns(rng, most))
    bend = torch.from_numpy(
        (BEND * most[..., None, None] * rng.normal(0, 1, (count, 2, KNOTS, KNOTS))).astype(np.float32)
    )
    bend = functional.interpolate(bend, (SIZE, SIZE), mode="bicubic", align_corners=True)
    shift = rng.integers(OTHER_ROOM - ROOM, ROOM - OTHER_ROOM + 1, (count, 1, 2))
    shifts = np.concatenate([shift, shift + rng.integers(-OTHER_ROOM, OTHER_ROOM + 1, (count, 1, 2))], 1)
    places = torch.from_numpy(shifts.astype(np.float32))
    faces, points = [], []
    for place, images in enumerate((batch.face, batch.reference)):
        faces.append(_taken(images, turn, bend, places[:, place]))
        points.append(_gone(batch.points[:, place], turn, bend, places[:, place]))
    return replace(batch, face=faces[0], reference=faces[1], points=torch.stack(points, 1))


def _turns(rng: np.random.Generator, most: Array) -> Array:
    scale, sides, turn = (most[:, 0] * rng.uniform(-each, each, len(most)) for each in (SCALE, SIDES, TURN))
    size = np.exp(scale)[:, None, None]
    wide, high = np.exp(sides / 2), np.exp(-sides / 2)
    cos, sin = np.cos(turn), np.sin(turn)
    rows = np.stack([np.stack([cos * wide, -sin * high], 1), np.stack([sin * wide, cos * high], 1)], 1)
    return np.asarray(size * rows, np.float32)


def _taken(images: Tensor, turn: Tensor, bend: Tensor, shift: Tensor) -> Tensor:
    """(b, 3, side, side) -> (b, 3, SIZE, SIZE)."""
    side = images.shape[-1]
    at = torch.arange(SIZE, dtype=torch.float32) - (SIZE - 1) / 2
    y, x = torch.meshgrid(at, at, indexing="ij")
    from_middle = torch.stack([x, y], -1) @ turn[:, None].transpose(2, 3) + shift[:, None, None]
    from_middle = from_middle + bend.permute(0, 2, 3, 1)
    return functional.grid_sample(images, from_middle * (2 / side), padding_mode="border", align_corners=False)


def _gone(points: Tensor, turn: Tensor, bend: Tensor, shift: Tensor) -> Tensor:
    """Where points (b, n, 2) of the larger picture come to lie; the bend is looked up where they nearly are."""
    from_middle = points - (SIZE + 2 * ROOM - 1) / 2 - shift[:, None]
    back = torch.linalg.inv(turn).transpose(1, 2)
    found = from_middle @ back
    for _ in range(2):
        moved = functional.grid_sample(bend, found[:, :, None] * (2 / SIZE), padding_mode="border", align_corners=False)
        found = (from_middle - moved[..., 0].transpose(1, 2)) @ back
    return found + (SIZE - 1) / 2


def _lit(batch: Batch, rng: np.random.Generator, amounts: Amounts) -> Batch:
    count, light = len(batch.rows), amounts.light
    brighter, tinted = light * rng.uniform(-LIGHT, LIGHT, (count, 1)), light * rng.uniform(-COLOUR, COLOUR, (count, 3))
    gains = _as_planes((1 + brighter) * (1 + tinted)) * _shades(rng, count, amounts.shade)
    gammas = _as_planes(np.exp(light * rng.uniform(-GAMMA, GAMMA, (count, 1))))
    mirrored = _as_planes(rng.random((count, 1)) < 0.5) > 0
    faces = []
    for each in (batch.face, batch.reference):
        lit = (each.clamp_min(1e-4) ** gammas * gains).clamp(0, 1)
        faces.append(torch.where(mirrored, lit.flip(3), lit))
    x, y = batch.points.unbind(-1)
    points = torch.stack([torch.where(mirrored[..., 0], SIZE - 1 - x, x), y], -1)
    return replace(batch, face=faces[0], reference=faces[1], points=points)


def _shades(rng: np.random.Generator, count: int, most: float) -> Tensor:
    """Light (count, 1, SIZE, SIZE) that differs from part to part: shadows, a beard, another skin."""
    parts = most * rng.random((count, 1, 1, 1)) * rng.normal(0, 1, (count, 1, SHADES, SHADES))
    whole = torch.from_numpy(parts.astype(np.float32))
    return functional.interpolate(whole, (SIZE, SIZE), mode="bicubic", align_corners=True).exp()


def _as_planes(values: Array) -> Tensor:
    return torch.from_numpy(values.astype(np.float32))[:, :, None, None]
