"""Things that stand before a mouth, drawn: hands, cups, microphones, pens, masks, scarves, subtitles, whatever.

Each is a :class:`Thing` on a canvas ``SIDE`` pixels a side, of which the mouth is the middle and ``UNIT`` pixels wide.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from engines.common import Array
from engines.mouthbank.occlusion.textures import (
    Rng,
    any_colour,
    any_skin,
    cloth,
    mesh,
    motley,
    noise,
    plain,
    skin,
)
from realtime_dub.face.landmarks import JAW

SIDE, UNIT = 144, 48
_FULL = (255,)
_NOSE, _CHEEKS = (168, 6, 197, 195, 5, 4, 1, 2), (123, 352)
_LETTERS = np.array(list("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789   .,!?'-"))
_FONTS = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_COMPLEX, cv2.FONT_HERSHEY_TRIPLEX)
Texture = Callable[[Rng, int, Array], Array]


@dataclass(frozen=True, eq=False)
class Thing:
    """What it looks like, and where it hides what is behind it."""

    image: Array  # (SIDE, SIDE, 3) float32 BGR
    alpha: Array  # (SIDE, SIDE) float32 0..1


@dataclass(frozen=True, eq=False)
class Face:
    """The face that it is drawn before."""

    points: Array  # (478, 2) pixels of the canvas
    colour: Array  # (3,) BGR of its skin


def _empty() -> Array:
    return np.zeros((SIDE, SIDE), np.uint8)


def _filled(corners: Array) -> Array:
    mask = _empty()
    cv2.fillPoly(mask, [np.rint(corners * 16).astype(np.int32)], _FULL, cv2.LINE_AA, 4)
    return mask


def _capsule(start: Array, end: Array, first: float, last: float) -> Array:
    """A limb from ``start`` to ``end``, of these radii."""
    along = (end - start) / max(1e-6, float(np.linalg.norm(end - start)))
    across = np.array([-along[1], along[0]])
    mask = _filled(np.array([start + first * across, end + last * across, end - last * across, start - first * across]))
    for at, radius in ((start, first), (end, last)):
        cv2.circle(mask, tuple(np.rint(at * 16).astype(int).tolist()), round(radius * 16), _FULL, -1, cv2.LINE_AA, 4)
    return mask


def _round(mask: Array, depth: float, strength: float) -> Array:
    """Light (SIDE, SIDE) on something round: darker towards its edges."""
    inside = cv2.distanceTransform((mask > 127).astype(np.uint8), cv2.DIST_L2, 3) / max(1.0, depth)
    return np.asarray(1 - strength * (1 - np.clip(inside, 0, 1)) ** 2, np.float32)


def _over(thing: Thing, image: Array, mask: Array) -> Thing:
    alpha = mask.astype(np.float32)[..., None] / 255
    return Thing(thing.image + alpha * (image - thing.image), np.maximum(thing.alpha, alpha[..., 0]))


def _blank() -> Thing:
    return Thing(np.zeros((SIDE, SIDE, 3), np.float32), np.zeros((SIDE, SIDE), np.float32))


def _about_the_mouth(rng: Rng, spread: float = 0.8) -> Array:
    return SIDE / 2 + rng.normal(0, spread * UNIT, 2)


def _towards(angle: float) -> Array:
    return np.array([np.cos(angle), np.sin(angle)])


def hand(rng: Rng, face: Face) -> Thing:
    """Fingers side by side, a palm or the back of the hand, often an arm."""
    colour, width = any_skin(rng, face.colour), UNIT * rng.uniform(0.17, 0.34)
    base = skin(rng, SIDE, colour)
    angle, knuckle = rng.uniform(0, 2 * np.pi), _about_the_mouth(rng, 0.9)
    along, across = _towards(angle), _towards(angle + np.pi / 2)
    fingers, spreading = int(rng.integers(1, 6)), rng.uniform(0, 0.35)
    thing, strength = _blank(), rng.uniform(0.15, 0.6)
    palm_end = knuckle - along * width * rng.uniform(3, 7)
    if fingers > 2 or rng.random() < 0.6:
        wide = width * max(1.5, fingers * 0.55)
        palm = _capsule(knuckle - along * wide, palm_end, wide, wide * rng.uniform(0.7, 1.1))
        palm |= _capsule(palm_end, palm_end - along * 3 * SIDE, wide * 0.75, wide * 1.1)
        thing = _over(thing, base * _round(palm, wide, strength)[..., None], palm)
    for finger in rng.permutation(fingers):
        place = finger - (fingers - 1) / 2
        start = knuckle + across * place * width * 1.05 - along * width * rng.uniform(0, 1)
        thing = _finger(rng, thing, base, start, angle + place * spreading, width * rng.uniform(0.42, 0.55), strength)
    return thing


def _finger(rng: Rng, thing: Thing, base: Array, start: Array, angle: float, radius: float, strength: float) -> Thing:
    """Two parts, bent between them, with a nail now and then and a dark line beside the neighbour."""
    middle = start + _towards(angle) * radius * rng.uniform(2, 5)
    tip_angle = angle + rng.normal(0, 0.3)
    tip = middle + _towards(tip_angle) * radius * rng.uniform(1, 4)
    mask = _capsule(start, middle, radius, radius * 0.95) | _capsule(middle, tip, radius * 0.95, radius * 0.8)
    seam = cv2.dilate(mask.astype(np.uint8), np.ones((3, 3), np.uint8))
    thing = Thing(thing.image * (1 - 0.35 * seam[..., None].astype(np.float32) / 255 * rng.random()), thing.alpha)
    thing = _over(thing, base * rng.uniform(0.92, 1.08) * _round(mask, radius, strength)[..., None], mask)
    if rng.random() < 0.5:
        nail = _capsule(tip - _towards(tip_angle) * radius * 0.3, tip, radius * 0.5, radius * 0.5)
        colour = base * np.array([1.1, 1.08, 1.1]) if rng.random() < 0.6 else np.zeros_like(base) + any_colour(rng)
        thing = _over(thing, colour.astype(np.float32), nail)
    return thing


def cup(rng: Rng, face: Face) -> Thing:
    """A cup, glass, bottle or can: a body with a rim, a handle, a picture on it."""
    centre, width = _about_the_mouth(rng, 0.7), UNIT * rng.uniform(0.5, 1.5)
    height, taper = width * rng.uniform(0.8, 1.8), rng.uniform(0.65, 1.15)
    down, side = np.array([0, height]), np.array([width, 0])
    top, bottom = centre - down * 0.2, centre + down * 0.8
    body = _filled(np.array([top - side, top + side, bottom + taper * side, bottom - taper * side]))
    colour = any_colour(rng)
    lit = 1 + rng.uniform(0.1, 0.5) * np.cos((np.arange(SIDE) - centre[0]) / width * 1.5 + rng.uniform(-1, 1))
    surface = (plain(rng, SIDE, colour) * lit[None, :, None] * 0.85).astype(np.float32)
    if rng.random() < 0.35:
        pattern = (noise(rng, SIDE, rng.uniform(8, 50)) > 0.3)[..., None]
        surface = np.where(pattern, any_colour(rng), surface).astype(np.float32)
    thing = _over(_blank(), surface, body)
    if rng.random() < 0.5:
        handle = _empty()
        at = tuple(np.rint(centre + float(rng.choice([-1, 1])) * side + 0.3 * down).astype(int).tolist())
        cv2.ellipse(handle, at, (round(width * 0.45), round(height * 0.3)), 0, 0, 360, _FULL, round(width * 0.18) + 1)
        thing = _over(thing, surface * 0.9, handle)
    rim = _empty()
    at, axes = tuple(np.rint(top).astype(int).tolist()), (round(width), round(width * rng.uniform(0.05, 0.4)))
    cv2.ellipse(rim, at, axes, 0, 0, 360, _FULL, -1, cv2.LINE_AA)
    return turned(rng, _over(thing, surface * np.float32(rng.uniform(0.4, 1.2)), rim), 0.5, centre)


def microphone(rng: Rng, face: Face) -> Thing:
    """A head of wire or foam on a stand or in a fist; a shield before it now and then."""
    centre, radius = _about_the_mouth(rng, 0.8), UNIT * rng.uniform(0.2, 0.75)
    angle = rng.uniform(0.1, 0.9) * np.pi if rng.random() < 0.8 else rng.uniform(0, 2 * np.pi)
    dark = np.full(3, rng.uniform(8, 60), np.float32) if rng.random() < 0.75 else any_colour(rng)
    thing = _blank()
    thick = radius * rng.uniform(0.15, 0.7)
    stem = _capsule(centre, centre + _towards(angle) * 3 * SIDE, thick, thick * rng.uniform(0.8, 1.5))
    thing = _over(thing, plain(rng, SIDE, any_colour(rng)) * _round(stem, thick, 0.5)[..., None], stem)
    back = centre - _towards(angle) * radius * rng.uniform(0, 0.8)
    head = _capsule(centre, back, radius, radius * rng.uniform(0.9, 1.1))
    thing = _over(thing, mesh(rng, SIDE, dark) * _round(head, radius, rng.uniform(0.2, 0.7))[..., None], head)
    if rng.random() < 0.15:
        shield = _filled(_ellipse(rng, _about_the_mouth(rng, 0.6), UNIT * rng.uniform(0.7, 1.4)))
        thing = _over(thing, cloth(rng, SIDE, dark), shield)
    return thing


def rod(rng: Rng, face: Face) -> Thing:
    """A pen, a straw, a fork, a toothbrush, a cable, an arm of a headset with its foam."""
    at, angle = _about_the_mouth(rng, 0.6), rng.uniform(0, np.pi)
    thick = UNIT * rng.uniform(0.03, 0.16)
    ends = at - _towards(angle) * SIDE * rng.uniform(0, 1.2), at + _towards(angle) * 2 * SIDE
    mask = _capsule(*ends, thick, thick * rng.uniform(0.7, 1.3))
    thing = _over(_blank(), plain(rng, SIDE, any_colour(rng)) * _round(mask, thick, 0.5)[..., None], mask)
    if rng.random() < 0.4:
        foam = _filled(_ellipse(rng, ends[0], UNIT * rng.uniform(0.08, 0.25)))
        thing = _over(thing, mesh(rng, SIDE, any_colour(rng)), foam)
    return thing


def mask(rng: Rng, face: Face) -> Thing:
    """A mask as doctors wear it, or of cloth, on the nose or slipped below it."""
    jaw, room = face.points[JAW[1:-1]], rng.uniform(0.9, 1.25)
    centre = face.points[[*_NOSE]].mean(0) * 0.3 + jaw.mean(0) * 0.7
    top = face.points[_NOSE[int(rng.integers(1, 6 if rng.random() < 0.8 else 8))]]
    cheeks = face.points[[*_CHEEKS]] + rng.normal(0, 0.08 * UNIT, 2)
    corners = np.concatenate([centre + room * (jaw - centre), cheeks[1:], top[None], cheeks[:1]])
    colour = np.array([[205, 180, 140], [235, 235, 232], [30, 30, 32], [190, 160, 110]], np.float32)[rng.integers(4)]
    colour = colour * rng.uniform(0.6, 1.05) if rng.random() < 0.7 else any_colour(rng)
    surface = cloth(rng, SIDE, colour) if rng.random() < 0.4 else plain(rng, SIDE, colour)
    if rng.random() < 0.6:
        pleats = np.sin((np.arange(SIDE) - top[1]) * 2 * np.pi / (UNIT * rng.uniform(0.25, 0.6)))
        surface = surface * (1 + rng.uniform(0.03, 0.15) * pleats[:, None, None]).astype(np.float32)
    worn = _filled(np.asarray(cv2.convexHull(corners.astype(np.float32)))[:, 0].astype(np.float64))
    return _over(_blank(), surface * _round(worn, UNIT * 0.6, rng.uniform(0, 0.4))[..., None], worn)


def scarf(rng: Rng, face: Face) -> Thing:
    """A scarf, a collar, a sheet of paper, a phone or a table's edge: everything beyond a wavy or straight line."""
    across = np.linspace(-0.2, 1.2, 12) * SIDE
    level = SIDE / 2 + UNIT * rng.uniform(-0.6, 1.0) + np.cumsum(rng.normal(0, rng.uniform(0, 0.06) * UNIT, 12))
    line = np.stack([across, level], 1)
    area = _filled(np.concatenate([line, [[1.5 * SIDE, 3 * SIDE], [-0.5 * SIDE, 3 * SIDE]]]))
    surface = (cloth if rng.random() < 0.6 else plain)(rng, SIDE, any_colour(rng))
    thing = _over(_blank(), surface * _round(area, UNIT * 0.3, rng.uniform(0, 0.5))[..., None], area)
    return turned(rng, thing, 0.6 if rng.random() < 0.8 else np.pi, np.array([SIDE / 2, SIDE / 2]))


def subtitle(rng: Rng, face: Face) -> Thing:
    """Lines of text, with a rim or on a bar."""
    font, size = int(rng.choice(_FONTS)), rng.uniform(0.35, 1.4)
    thickness, height = max(1, round(size * rng.uniform(1, 3))), 32 * size
    colour = np.full(3, rng.uniform(220, 255)) if rng.random() < 0.6 else any_colour(rng)
    thing, top = _blank(), SIDE / 2 + rng.uniform(-1.2, 1.2) * UNIT
    lines = int(rng.integers(1, 4))
    if rng.random() < 0.35:
        bar = np.zeros((SIDE, SIDE), np.float32)
        bar[max(0, round(top - height)) : max(0, round(top + height * (lines - 0.6)))] = rng.uniform(0.5, 1)
        thing = Thing(np.zeros_like(thing.image) + (any_colour(rng) if rng.random() < 0.4 else 10), bar)
    letters, rims = _empty(), _empty()
    for line in range(lines):
        text = "".join(rng.choice(_LETTERS, int(rng.integers(4, 24))))
        at = (round(rng.uniform(-0.4, 0.4) * SIDE), round(top + line * height))
        cv2.putText(letters, text, at, font, size, _FULL, thickness, cv2.LINE_AA)
        cv2.putText(rims, text, at, font, size, _FULL, thickness + 2 + round(2 * size), cv2.LINE_AA)
    if rng.random() < 0.7:
        thing = _over(thing, np.zeros_like(thing.image) + np.float32(rng.uniform(0, 30)), rims)
    return _over(thing, (np.zeros_like(thing.image) + colour).astype(np.float32), letters)


def shape(rng: Rng, face: Face) -> Thing:
    """Something of which nothing is known: an outline, a texture."""
    if rng.random() < 0.5:
        outline = _ellipse(rng, _about_the_mouth(rng), UNIT * rng.uniform(0.15, 1.3))
    else:
        angles = np.sort(rng.uniform(0, 2 * np.pi, int(rng.integers(3, 9))))
        radii = UNIT * rng.uniform(0.2, 1.6) * rng.uniform(0.5, 1, len(angles))
        outline = _about_the_mouth(rng) + radii[:, None] * np.stack([np.cos(angles), np.sin(angles)], 1)
    area = _filled(outline)
    textures: tuple[Texture, ...] = (plain, cloth, motley, mesh, skin)
    surface = textures[int(rng.integers(len(textures)))](rng, SIDE, any_colour(rng))
    return _over(_blank(), surface * _round(area, UNIT * rng.uniform(0.1, 0.6), rng.uniform(0, 0.6))[..., None], area)


def _ellipse(rng: Rng, centre: Array, radius: float) -> Array:
    angles, turn = np.linspace(0, 2 * np.pi, 32, endpoint=False), rng.uniform(0, np.pi)
    x, y = radius * np.cos(angles), radius * rng.uniform(0.4, 1) * np.sin(angles)
    return centre + np.stack([np.cos(turn) * x - np.sin(turn) * y, np.sin(turn) * x + np.cos(turn) * y], 1)


def turned(rng: Rng, thing: Thing, most: float, about: Array) -> Thing:
    """The thing turned by up to ``most`` radians."""
    matrix = cv2.getRotationMatrix2D(tuple(about.tolist()), float(np.degrees(rng.uniform(-most, most))), 1.0)
    size = (SIDE, SIDE)
    image = cv2.warpAffine(thing.image, matrix, size, borderMode=cv2.BORDER_REPLICATE)
    return Thing(image, cv2.warpAffine(thing.alpha, matrix, size, borderMode=cv2.BORDER_REPLICATE))


THINGS: dict[str, tuple[Callable[[Rng, Face], Thing], float]] = {  # and how often
    "hand": (hand, 0.3),
    "cup": (cup, 0.12),
    "microphone": (microphone, 0.15),
    "rod": (rod, 0.08),
    "mask": (mask, 0.1),
    "scarf": (scarf, 0.07),
    "subtitle": (subtitle, 0.08),
    "shape": (shape, 0.1),
}
