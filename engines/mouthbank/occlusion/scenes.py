"""What the net learns from: somebody's face, perhaps something before it, in some light, as some camera shows it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from engines.common import Array
from engines.mouthbank.occlusion.faces import PIXELS, ROOM, Faces
from engines.mouthbank.occlusion.people import face_of, varied
from engines.mouthbank.occlusion.textures import Rng
from engines.mouthbank.occlusion.things import SIDE, THINGS, UNIT, Face, Thing
from realtime_dub.face.crop import Crop
from realtime_dub.face.landmarks import LIPS
from realtime_dub.mouth.mouthbank.occlusion_view import SIZE, outlines

COVERED = 0.58  # of the scenes
TWICE = 0.12  # of those have a second thing
_NAMES = list(THINGS)
_OFTEN = np.array([often for _, often in THINGS.values()]) / sum(often for _, often in THINGS.values())
_HALF = Crop(np.array([[SIZE / SIDE, 0, (SIZE / SIDE - 1) / 2], [0, SIZE / SIDE, (SIZE / SIDE - 1) / 2]]), SIZE)


@dataclass(frozen=True, eq=False)
class Scene:
    """One sample."""

    image: Array  # (SIZE, SIZE, 3) uint8 BGR
    drawing: Array  # (2, SIZE, SIZE) uint8: lower face and mouth, as a tracker finds them
    covered: Array  # (SIZE, SIZE) float32 0..1: the truth
    counts: Array  # (SIZE, SIZE) bool: where it matters
    mouth: Array  # (SIZE, SIZE) bool: the mouth as it really is
    thing: str  # what is before the face, or ""


def scene(faces: Faces, rng: Rng, thing: str | None = None, plain: bool = False) -> Scene:
    """A new one; every speaker as often as any other. ``thing`` asks for one kind, "" for none.

    ``plain``: the person and the light as filmed.
    """
    speakers = np.unique(faces.speakers)
    index = int(rng.choice(np.flatnonzero(faces.speakers == speakers[int(rng.integers(len(speakers)))])))
    image, points = _moved(rng, faces.images[index], faces.points[index])
    if not plain:
        image = varied(rng, image, points)
    if thing is None:
        thing = str(rng.choice(_NAMES, p=_OFTEN)) if rng.random() < COVERED else ""
    covered = np.zeros((SIDE, SIDE), np.float32)
    if thing:
        image, covered = _behind(rng, image, covered, face_of(image, points), thing)
        if rng.random() < TWICE:
            image, covered = _behind(rng, image, covered, face_of(image, points), str(rng.choice(_NAMES, p=_OFTEN)))
    image, covered = _small(image), _small(covered)
    if not plain:
        image = _lit(rng, image)
    found = _found(rng, points, 0.03 + 0.03 * (thing != ""))
    drawing = np.stack(outlines(found, float(UNIT), _HALF))
    face, mouth = outlines(_deep(points), float(UNIT), _HALF)
    counts = cv2.dilate(face, np.ones((5, 5), np.uint8)) > 0
    return Scene(_filmed(rng, image), drawing, covered, counts, mouth > 127, thing)


def _small(canvas: Array) -> Array:
    return np.asarray(cv2.resize(canvas, (SIZE, SIZE), interpolation=cv2.INTER_AREA), np.float32)


def _moved(rng: Rng, image: Array, points: Array) -> tuple[Array, Array]:
    """The face somewhere near the middle of the canvas, as trackers find faces."""
    angle, size = rng.normal(0, np.radians(5)), rng.uniform(0.85, 1.2) * UNIT / (PIXELS / ROOM)
    turn = size * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    if rng.random() < 0.5:
        turn[:, 0] *= -1
    at = (SIDE - 1) / 2 + rng.normal(0, 0.06 * UNIT, 2)
    matrix = np.concatenate([turn, (at - turn @ np.full(2, (PIXELS - 1) / 2))[:, None]], 1)
    moved = cv2.warpAffine(image, matrix, (SIDE, SIDE), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    return moved.astype(np.float32), (points @ turn.T + matrix[:, 2]).astype(np.float32)


def _behind(rng: Rng, image: Array, covered: Array, face: Face, name: str) -> tuple[Array, Array]:
    """``image`` with a thing before it, and with its shadow."""
    thing = _as_filmed(rng, THINGS[name][0](rng, face))
    if rng.random() < 0.4 and name != "subtitle":
        shift = np.array([[1, 0, rng.normal(0, 0.12 * UNIT)], [0, 1, rng.normal(0.06, 0.12) * UNIT]])
        shadow = cv2.warpAffine(thing.alpha, shift, (SIDE, SIDE), borderMode=cv2.BORDER_REPLICATE)
        shadow = cv2.GaussianBlur(shadow, (0, 0), UNIT * rng.uniform(0.03, 0.2))
        image = image * (1 - rng.uniform(0.1, 0.6) * shadow[..., None])
    alpha = thing.alpha[..., None]
    return image + alpha * (np.clip(thing.image, 0, 255) - image), np.maximum(covered, thing.alpha)


def _as_filmed(rng: Rng, thing: Thing) -> Thing:
    """In its own light, out of focus, in motion."""
    image, alpha = thing.image * np.float32(rng.uniform(0.6, 1.3)), thing.alpha
    if (blur := rng.uniform(0, 3) - 1) > 0.3:
        alpha = cv2.GaussianBlur(alpha, (0, 0), blur)
    if rng.random() < 0.2:
        length, angle = rng.uniform(2, 0.35 * UNIT), rng.uniform(0, np.pi)
        kernel = np.zeros((33, 33), np.float32)
        reach = 8 * length * np.array([np.cos(angle), np.sin(angle)])
        start, end = (np.rint(16 * 16 + sign * reach).astype(int).tolist() for sign in (-1, 1))
        cv2.line(kernel, tuple(start), tuple(end), (1.0,), 1, cv2.LINE_8, 4)
        kernel /= kernel.sum()
        premultiplied = cv2.filter2D(image * alpha[..., None], -1, kernel, borderType=cv2.BORDER_REPLICATE)
        alpha = cv2.filter2D(alpha, -1, kernel, borderType=cv2.BORDER_REPLICATE)
        image = premultiplied / np.maximum(alpha, 1e-3)[..., None]
    return replace(thing, image=image, alpha=np.clip(alpha, 0, 1))


def _lit(rng: Rng, image: Array) -> Array:
    """Lamps, exposures, cameras' colours."""
    angle, along = rng.uniform(0, 2 * np.pi), np.linspace(-1, 1, SIZE, dtype=np.float32)
    side = np.cos(angle) * along[None] + np.sin(angle) * along[:, None]
    if rng.random() < 0.15:  # the edge of a shadow across the face
        side = np.clip(side * rng.uniform(4, 30) + rng.uniform(-2, 2), -1, 1)
    gain = rng.uniform(0.45, 1.5) * (1 + rng.uniform(0, 0.55) * side[..., None])
    gain = gain * np.exp(rng.normal(0, 0.08, 3)).astype(np.float32)
    curve = 255 * np.linspace(0, 1, 256, dtype=np.float32) ** np.float32(np.exp(rng.normal(0, 0.25)))
    lit = cv2.LUT(np.clip(image * gain, 0, 255).astype(np.uint8), curve)
    grey = lit.mean(-1, keepdims=True)
    return np.asarray(np.clip(grey + rng.uniform(0.3, 1.3) * (lit - grey), 0, 255), np.float32)


def _filmed(rng: Rng, image: Array) -> Array:
    """Blur, few pixels, noise, compression."""
    if rng.random() < 0.5:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.3, 1.6))
    if rng.random() < 0.25:
        side = int(SIZE * rng.uniform(0.35, 0.9))
        small = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
        image = cv2.resize(small, (SIZE, SIZE), interpolation=cv2.INTER_LINEAR)
    image = image + rng.uniform(0, 7) * rng.standard_normal(image.shape, np.float32)
    levels = np.clip(image + 0.5, 0, 255).astype(np.uint8)
    if rng.random() < 0.6:
        coded = cv2.imencode(".jpg", levels, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(30, 95))])[1]
        levels = np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8)
    return np.asarray(levels, np.uint8)


def _found(rng: Rng, points: Array, spread: float) -> Array:
    """The landmarks as a tracker guesses them: the lips are where it thinks that they are."""
    found = points + rng.normal(0, spread * UNIT, 2)
    lips = found[LIPS]
    middle = lips.mean(0) + rng.normal(0, spread * UNIT, 2)
    found[LIPS] = middle + (lips - lips.mean(0)) * np.exp(rng.normal(0, (4 * spread, 10 * spread)))
    return _deep(found)


def _deep(points: Array) -> Array:
    return np.concatenate([points, np.zeros((len(points), 1))], 1).astype(np.float32)
