"""One person's face in other circumstances, made from a picture: light, noise, distance, turns, glasses, a hand."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import cv2
import numpy as np

from realtime_dub.blend.warp import ThinPlate, identity_map
from realtime_dub.face.landmarks import LIPS_INNER
from realtime_dub.face.types import Face
from realtime_dub.media import Image

Vary = Callable[[Image, Face, np.random.Generator], Image]

NECK = np.array([0, 0.6, 1.2], np.float32)  # what the head turns about, canonical
_EYES = ((33, 133), (362, 263))
_CARRIED = np.argsort(np.random.default_rng(0).random(468))[:140]  # points that a turn is bent by


def _lit(image: Image, face: Face, rng: np.random.Generator, sides: tuple[float, float], warmth: float) -> Image:
    """A lamp at one side: gain at the left and the right edge, and of red against blue."""
    gain = np.linspace(*sides, image.shape[1])[None, :, None] * np.array([1 / warmth, 1, warmth])
    return _levels(image * gain)


def _exposed(image: Image, face: Face, rng: np.random.Generator, gain: float, gamma: float) -> Image:
    return _levels(255 * gain * (image / 255.0) ** gamma)


def _grainy(image: Image, face: Face, rng: np.random.Generator) -> Image:
    return _levels(image + 14 * rng.standard_normal(image.shape, np.float32))


def _blurred(image: Image, face: Face, rng: np.random.Generator) -> Image:
    return np.asarray(cv2.GaussianBlur(image, (0, 0), 2.0), np.uint8)


def _far(image: Image, face: Face, rng: np.random.Generator) -> Image:
    height, width = image.shape[:2]
    small = cv2.resize(image, None, fx=0.55, fy=0.55, interpolation=cv2.INTER_AREA)
    out = np.full_like(image, 90)
    y, x = (height - small.shape[0]) // 2, (width - small.shape[1]) // 2
    out[y : y + small.shape[0], x : x + small.shape[1]] = small
    return out


def _near(image: Image, face: Face, rng: np.random.Generator) -> Image:
    height, width = image.shape[:2]
    middle = image[height // 8 : height - height // 16, width // 8 : width - width // 8]
    return np.asarray(cv2.resize(middle, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC), np.uint8)


def _with_glasses(image: Image, face: Face, rng: np.random.Generator) -> Image:
    out, unit, dark = image.copy(), face.pose.scale, (20, 20, 25)
    for pair in _EYES:
        x, y = face.points[list(pair), :2].mean(0).tolist()
        box = ((x, y + 0.05 * unit), (0.95 * unit, 0.75 * unit), 0)
        cv2.ellipse(out, box, dark, max(1, round(0.1 * unit)), cv2.LINE_AA)
    left, right = (np.rint(face.points[point, :2]).astype(int).tolist() for point in (_EYES[0][1], _EYES[1][0]))
    cv2.line(out, left, right, dark, max(1, round(0.08 * unit)), cv2.LINE_AA)
    return out


def _behind_a_hand(image: Image, face: Face, rng: np.random.Generator) -> Image:
    out, unit = image.copy(), face.pose.scale
    x, y = face.points[LIPS_INNER, :2].mean(0).tolist()
    cheek_x, cheek_y = np.clip(np.rint(face.points[50, :2]).astype(int), 3, np.array(image.shape[1::-1]) - 4)
    colour = np.median(image[cheek_y - 3 : cheek_y + 3, cheek_x - 3 : cheek_x + 3].reshape(-1, 3), axis=0)
    box = ((x + 0.3 * unit, y + 0.4 * unit), (1.6 * unit, 1.5 * unit), 20)
    cv2.ellipse(out, box, colour.tolist(), -1, cv2.LINE_AA)
    return out


def _turned(image: Image, face: Face, rng: np.random.Generator, yaw_deg: float, pitch_deg: float) -> Image:
    """The head turned by bending the picture: good to about 30 degrees."""
    pitch, yaw = (cv2.Rodrigues(np.radians(axis))[0] for axis in ([pitch_deg, 0.0, 0.0], [0.0, yaw_deg, 0.0]))
    rotation = (pitch @ yaw).astype(np.float32)
    moved = (face.canonical[_CARRIED] - NECK) @ rotation.T + NECK
    pose, (height, width) = face.pose, image.shape[:2]
    goal = (pose.scale * moved @ pose.rotation.T + pose.shift)[:, :2]
    edge = [
        (x, y) for x in np.linspace(0, width, 5) for y in np.linspace(0, height, 5) if x % width == 0 or y % height == 0
    ]
    here, there = (np.concatenate([points, edge]).astype(np.float64) for points in (face.points[_CARRIED, :2], goal))
    whole = (0, 0, width, height)
    where = identity_map(whole) + ThinPlate(there, here, pose.scale).field(whole, 8.0)
    return np.asarray(cv2.remap(image, where, np.empty(0), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.uint8)


def _levels(values: np.ndarray) -> Image:
    return np.asarray(np.clip(values + 0.5, 0, 255), np.uint8)


VARIANTS: dict[str, Vary] = {
    "dark": partial(_exposed, gain=0.45, gamma=1.0),
    "bright": partial(_exposed, gain=1.1, gamma=0.6),
    "lamp right": partial(_lit, sides=(0.6, 1.5), warmth=1.2),
    "lamp left": partial(_lit, sides=(1.6, 0.5), warmth=0.85),
    "noise": _grainy,
    "blur": _blurred,
    "far": _far,
    "near": _near,
    "glasses": _with_glasses,
    "hand": _behind_a_hand,
    "turned left": partial(_turned, yaw_deg=-18, pitch_deg=0),
    "turned right": partial(_turned, yaw_deg=18, pitch_deg=0),
    "turned far": partial(_turned, yaw_deg=-30, pitch_deg=0),
    "raised": partial(_turned, yaw_deg=0, pitch_deg=-12),
    "lowered": partial(_turned, yaw_deg=0, pitch_deg=12),
}
