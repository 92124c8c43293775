"""What drawn things are made of: skin, foam, cloth, plastic, noise. Textures are (size, size, 3) float32 BGR."""

from __future__ import annotations

import cv2
import numpy as np

from engines.common import Array

Rng = np.random.Generator
SKINS = np.array(  # BGR, from pale to dark
    [[180, 198, 232], [150, 175, 222], [126, 156, 205], [96, 128, 178], [70, 98, 145], [48, 66, 102], [36, 46, 70]],
    np.float32,
)


def noise(rng: Rng, size: int, grain: float) -> Array:
    """(size, size), mean 0, spread 1, spots about ``grain`` pixels wide."""
    cells = max(2, round(size / grain))
    coarse = rng.standard_normal((cells, cells)).astype(np.float32)
    return np.asarray(cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC))


def any_colour(rng: Rng) -> Array:
    """Grey as often as coloured, black and white more often than either."""
    value = float(rng.choice([rng.uniform(8, 40), rng.uniform(40, 215), rng.uniform(215, 250)], p=[0.3, 0.5, 0.2]))
    if rng.random() < 0.45:
        return np.full(3, value, np.float32)
    hsv = np.array([[[rng.integers(180), rng.integers(30, 255), value]]], np.uint8)
    return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)[0, 0], np.float32)


def any_skin(rng: Rng, face: Array) -> Array:
    """Mostly that of the ``face`` (3,), in another light; else anybody's."""
    if rng.random() < 0.7:
        light = rng.uniform(0.6, 1.35) * rng.uniform(0.93, 1.07, 3)
        return np.asarray(np.clip(face * light, 5, 250), np.float32)
    place = rng.uniform(0, len(SKINS) - 1)
    low = int(place)
    mixed = SKINS[low] + (place - low) * (SKINS[min(low + 1, len(SKINS) - 1)] - SKINS[low])
    return np.asarray(mixed * rng.uniform(0.7, 1.15), np.float32)


def plain(rng: Rng, size: int, colour: Array) -> Array:
    """One colour in uneven light."""
    light = _ramp(rng, size, rng.uniform(0, 0.35)) + rng.uniform(0, 0.05) * noise(rng, size, rng.uniform(10, 80))
    return _lit(colour, light)


def skin(rng: Rng, size: int, colour: Array) -> Array:
    """Fine grain, spots, a little redness here and there."""
    light = _ramp(rng, size, rng.uniform(0, 0.25)) + rng.uniform(0.01, 0.05) * noise(rng, size, rng.uniform(8, 40))
    made = _lit(colour, light + rng.uniform(0.005, 0.025) * noise(rng, size, 2))
    made[..., 2] += rng.uniform(0, 8) * noise(rng, size, rng.uniform(15, 60))
    return made


def mesh(rng: Rng, size: int, colour: Array) -> Array:
    """The wire of a microphone, or its foam."""
    if rng.random() < 0.5:
        return _lit(colour, rng.uniform(0.1, 0.35) * noise(rng, size, rng.uniform(1.5, 4)))
    return _lit(colour, rng.uniform(0.15, 0.5) * _waves(rng, size, rng.uniform(3, 8), crossed=True))


def cloth(rng: Rng, size: int, colour: Array) -> Array:
    """Folds, and threads or a pattern."""
    folds = rng.uniform(0.05, 0.3) * noise(rng, size, rng.uniform(15, 60))
    made = _lit(colour, folds + rng.uniform(0, 0.15) * _waves(rng, size, rng.uniform(3, 12), rng.random() < 0.5))
    if rng.random() < 0.3:
        stripe = (_waves(rng, size, rng.uniform(12, 50), rng.random() < 0.5) > rng.uniform(-0.3, 0.6))[..., None]
        made = np.where(stripe, _lit(any_colour(rng), folds), made)
    return np.asarray(made, np.float32)


def motley(rng: Rng, size: int, colour: Array) -> Array:
    """Noise of several colours and grains."""
    layers = [_lit(any_colour(rng), 0.2 * noise(rng, size, rng.uniform(2, 30))) for _ in range(2)]
    here = noise(rng, size, rng.uniform(6, 60))[..., None] > 0
    return np.asarray(np.where(here, layers[0], layers[1]), np.float32)


def _ramp(rng: Rng, size: int, amount: float) -> Array:
    along, angle = np.linspace(-1, 1, size, dtype=np.float32), rng.uniform(0, 2 * np.pi)
    return np.asarray(amount * (np.cos(angle) * along[None] + np.sin(angle) * along[:, None]), np.float32)


def _waves(rng: Rng, size: int, length: float, crossed: bool = False) -> Array:
    at, angle = np.arange(size, dtype=np.float32), rng.uniform(0, np.pi)
    first = np.sin(2 * np.pi / length * (np.cos(angle) * at[None] + np.sin(angle) * at[:, None]))
    if not crossed:
        return np.asarray(first)
    return np.asarray(first * np.sin(2 * np.pi / length * (np.cos(angle) * at[:, None] - np.sin(angle) * at[None])))


def _lit(colour: Array, light: Array) -> Array:
    return np.asarray(colour * (1 + light[..., None]), np.float32)
