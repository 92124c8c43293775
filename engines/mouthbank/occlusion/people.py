"""Other people, made of those who were filmed: skins, beards, painted lips, open mouths, other rooms behind them.

Nothing of this stands before a face, and much of it looks as if it did. Pictures are float32 (SIDE, SIDE, 3) BGR.
"""

from __future__ import annotations

import cv2
import numpy as np

from engines.common import Array
from engines.mouthbank.occlusion.textures import SKINS, Rng, any_colour, cloth, motley, noise, plain
from engines.mouthbank.occlusion.things import SIDE, UNIT, Face
from realtime_dub.blend.masks import dilated, feather, lower_face, polygon
from realtime_dub.face.alignment import LOWER
from realtime_dub.face.landmarks import JAW, LIPS_INNER, LIPS_OUTER

_BOX = (0, 0, SIDE, SIDE)
_UPPER_EDGE = [205, 98, 2, 327, 425]  # cheek, wing of the nose, base of the nose, and mirrored
_CHEEKS = [50, 280, 205, 425]
HAIR = np.array([[22, 24, 28], [28, 36, 52], [40, 62, 96], [48, 70, 130], [120, 125, 130], [205, 208, 212]], np.float32)


def skin_of(image: Array, points: Array) -> Array:
    """The colour (3,) of the cheeks."""
    at = np.clip(np.rint(points[_CHEEKS]).astype(int), 2, SIDE - 3)
    patches = [image[y - 2 : y + 3, x - 2 : x + 3].reshape(-1, 3) for x, y in at]
    return np.asarray(np.median(np.concatenate(patches), axis=0), np.float32)


def varied(rng: Rng, image: Array, points: Array) -> Array:
    """One person's picture as another's."""
    changes = (
        (0.5, _other_skin),
        (0.6, _aged),
        (0.15, _lipstick),
        (0.2, _open_mouth),
        (0.35, _hair),
        (0.4, _elsewhere),
    )
    for chance, change in changes:
        if rng.random() < chance:
            image = change(rng, image, points)
    return image


def _soft(corners: Array, sigma: float) -> Array:
    return np.asarray(feather(polygon(corners.astype(np.float64), _BOX), sigma), np.float32)[..., None] / 255


def _other_skin(rng: Rng, image: Array, points: Array) -> Array:
    wanted = SKINS[int(rng.integers(len(SKINS)))] * rng.uniform(0.8, 1.15, 3)
    gain = np.clip(wanted / np.maximum(skin_of(image, points), 8), 0.15, 1.8)
    return np.asarray(image * gain, np.float32)


def _aged(rng: Rng, image: Array, points: Array) -> Array:
    """Folds, wrinkles, spots and gleams, as sharp as a good camera shows them."""
    light = rng.uniform(0, 0.1) * noise(rng, SIDE, rng.uniform(3, 14)) + rng.uniform(0, 0.03) * noise(rng, SIDE, 1.5)
    depth = rng.uniform(0, 0.5)
    for wing, corner, side in ((98, 61, -1), (327, 291, 1)):
        begin, end = (
            points[wing] + (0.08 * side * UNIT, 0),
            points[corner] + (0.2 * side * UNIT, rng.uniform(0, 0.6) * UNIT),
        )
        light -= depth * rng.uniform(0.6, 1.2) * _fold(rng, begin, end, side * rng.uniform(0.05, 0.25) * UNIT)
        if rng.random() < 0.4:
            below = points[corner] + (rng.normal(0.05 * side, 0.05) * UNIT, rng.uniform(0.3, 0.7) * UNIT)
            light -= depth * rng.random() * _fold(rng, points[corner], below, 0.1 * rng.normal() * UNIT)
    for _ in range(int(rng.integers(0, 16))):
        begin = points[int(rng.choice(LOWER))] + rng.normal(0, 0.1 * UNIT, 2)
        end = begin + rng.normal(0, 0.3 * UNIT, 2)
        light -= rng.uniform(0, 0.2) * _fold(rng, begin, end, rng.normal(0, 0.06 * UNIT))
    gleam = np.clip(noise(rng, SIDE, rng.uniform(10, 40)) - rng.uniform(0.6, 2), 0, 1)[..., None]
    aged = image * (1 + light[..., None]) + rng.uniform(0, 90) * gleam
    return aged + rng.uniform(0, 2.5) * (aged - cv2.GaussianBlur(aged, (0, 0), rng.uniform(0.8, 3)))


def _fold(rng: Rng, begin: Array, end: Array, bent: float) -> Array:
    """A dark line with a bright side (SIDE, SIDE), from ``begin`` to ``end`` by way of ``bent`` pixels beside."""
    across = np.array([end[1] - begin[1], begin[0] - end[0]]) / max(1.0, float(np.linalg.norm(end - begin)))
    at = np.linspace(0, 1, 9)[:, None]
    line = begin + at * (end - begin) + 4 * bent * at * (1 - at) * across
    drawn = np.zeros((SIDE, SIDE), np.uint8)
    cv2.polylines(drawn, [np.rint(line * 16).astype(np.int32)], False, (255,), int(rng.integers(1, 4)), cv2.LINE_AA, 4)
    soft = cv2.GaussianBlur(drawn, (0, 0), rng.uniform(0.6, 2.5)).astype(np.float32) / 255
    dx, dy = np.rint(across * rng.uniform(1, 3)).astype(int)
    return np.asarray(soft - rng.uniform(0, 0.5) * np.roll(soft, (int(dy), int(dx)), (0, 1)), np.float32)


def _lipstick(rng: Rng, image: Array, points: Array) -> Array:
    lips = _soft(points[LIPS_OUTER], 1.0) * (1 - _soft(points[LIPS_INNER], 1.0))
    grey = image.mean(-1, keepdims=True) / max(1.0, float(image.mean()))
    return image + rng.uniform(0.3, 0.9) * lips * (any_colour(rng) * grey - image)


def _open_mouth(rng: Rng, image: Array, points: Array) -> Array:
    """A dark inside with teeth, a tongue, or both, in whatever the lips leave free, and now and then more."""
    inner = points[LIPS_INNER].astype(np.float64)
    centre = inner.mean(0)
    opened = inner + (0, 1) * (inner[:, 1:] > centre[1]) * UNIT * rng.uniform(0, 0.45)
    opened = centre + (opened - centre) * rng.uniform(0.7, 1.05)
    inside = _soft(opened, 0.8)
    low, high = opened[:, 1].min(), opened[:, 1].max()
    rows = (np.arange(SIDE)[:, None, None] - low) / max(4.0, high - low)
    dark = np.array([20, 18, 35]) * rng.uniform(0.3, 2.5)
    mouth = np.zeros_like(image) + dark
    if rng.random() < 0.6:
        tongue = np.array([90, 85, 170]) * rng.uniform(0.5, 1.2) * (1 + 0.1 * noise(rng, SIDE, 4)[..., None])
        mouth += np.clip((rows - rng.uniform(0.3, 0.8)) * 4, 0, 1) * (tongue - mouth)
    if rng.random() < 0.6:
        teeth = np.array([190, 205, 215]) * rng.uniform(0.5, 1.1)
        gaps = 1 - 0.3 * (np.abs(np.sin(np.arange(SIDE) / UNIT * 2 * np.pi * rng.uniform(2, 4))) < 0.15)[None, :, None]
        mouth += np.clip((rng.uniform(0.15, 0.45) - rows) * 6, 0, 1) * (teeth * gaps - mouth)
    return np.asarray(image + inside * (mouth - image), np.float32)


def _hair(rng: Rng, image: Array, points: Array) -> Array:
    """A beard, a moustache, or stubble."""
    soft = UNIT * rng.uniform(0.02, 0.08)
    inner, outer = points[LIPS_INNER[:11]], points[LIPS_OUTER[:11]]
    low = outer + rng.uniform(0.2, 1.2) * (inner - outer)
    past = np.array([UNIT * rng.uniform(0.02, 0.15), UNIT * rng.uniform(0, 0.3)])
    nose = points[_UPPER_EDGE[1:4]] + (0, 0.05 * UNIT)
    moustache = _soft(np.concatenate([low[:1] + past * (-1, 1), low[1:-1], low[-1:] + past, nose[::-1]]), soft)
    jaw = points[JAW[int(rng.integers(1, 7)) :][: int(rng.integers(8, 16))]]
    beard = _soft(np.concatenate([points[JAW[2:-2]] if rng.random() < 0.6 else jaw, points[[425, 205]]]), 2 * soft)
    beard = beard * (1 - _soft(dilated(points[LIPS_OUTER].astype(np.float64), rng.uniform(-0.03, 0.15) * UNIT), soft))
    kind = rng.random()
    area = moustache if kind < 0.3 else beard if kind < 0.45 else np.maximum(beard, moustache)
    strands = cv2.GaussianBlur(rng.standard_normal((SIDE, SIDE)).astype(np.float32), (0, 0), 0.7, sigmaY=4)
    amount = rng.uniform(0.3, 0.95) * np.clip(0.85 + rng.uniform(0.1, 0.4) * strands / strands.std(), 0, 1)
    colour = HAIR[int(rng.integers(len(HAIR)))] * rng.uniform(0.7, 1.2)
    light = 0.6 + 0.8 * image.mean(-1, keepdims=True) / 255 + 0.15 * strands[..., None] / strands.std()
    return np.asarray(image + area * amount[..., None] * (colour * light - image), np.float32)


def _elsewhere(rng: Rng, image: Array, points: Array) -> Array:
    """Something else beside the face: what is there says nothing of what is before it."""
    hull = np.asarray(cv2.convexHull(points[:468].astype(np.float32)))[:, 0].astype(np.float64)
    hull = np.concatenate([dilated(hull, 0.12 * UNIT), lower_face(_in_depth(points), float(UNIT))])
    face = _soft(np.asarray(cv2.convexHull(hull.astype(np.float32)))[:, 0], UNIT * rng.uniform(0.01, 0.04))
    behind = (plain, cloth, motley)[int(rng.integers(3))](rng, SIDE, any_colour(rng))
    return np.asarray(behind + face * (image - behind), np.float32)


def _in_depth(points: Array) -> Array:
    return np.concatenate([points, np.zeros((len(points), 1), np.float32)], 1)


def face_of(image: Array, points: Array) -> Face:
    return Face(points, skin_of(image, points))
