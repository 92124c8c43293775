"""Faces that are hard to dub, made from easy ones: hair around the mouth, lips like skin, small, dark, grainy pictures.

A clip is painted before anything else sees it, so that what a tracker finds in the painted clip is the truth. Hair is a
still texture on the face, carried along by the landmarks. The same clip is painted alike every time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import cache, partial
from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt

from engines.common.rates import STEADY_FPS, steady_ns
from realtime_dub.blend.masks import bounding_box, dilated, feather, polygon
from realtime_dub.blend.warp import Box, ThinPlate, identity_map
from realtime_dub.face.alignment import LOWER, TEMPLATE
from realtime_dub.face.landmarks import JAW, LIPS, LIPS_INNER, LIPS_OUTER
from realtime_dub.face.tracker import MediaPipeTracker
from realtime_dub.face.types import Face
from realtime_dub.media import MS, Frame, Image

Paint = Callable[[Image, Face, np.random.Generator], Image]
Coverage = npt.NDArray[np.float32]

SCALE, SIZE = 160, 800  # of the texture: pixels per mouth width, pixels
HAIR = np.array([28.0, 36.0, 48.0])  # dark brown, BGR
OVERHANG = 1.4  # of the upper lip's height: how far down over it a moustache hangs
TRIMMED = 0.55  # the same of the moustache in a beard
INSIDE_LIGHT = 0.35  # of the teeth's own brightness
SKIN_SHARE = 0.85  # of the way from the lips' colour to the skin's
DIM, GRAIN = 0.28, 7.0  # exposure; standard deviation of sensor noise, levels
_UPPER_EDGE = np.array([205, 98, 2, 327, 425])  # cheek, wing of the nose, base of the nose, and mirrored


def _place(points: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Points (n, 2 or 3) of the canonical face in pixels of the texture."""
    return np.asarray((points[:, :2] - TEMPLATE[LIPS, :2].mean(0)) * SCALE + SIZE / 2, np.float64)


def _area(corners: npt.NDArray[np.float64], soft: float) -> Coverage:
    return np.asarray(feather(polygon(corners, (0, 0, SIZE, SIZE)), soft * SCALE), np.float32) / 255


@cache
def strands() -> Coverage:
    """Hair that falls downwards: (SIZE, SIZE), about 0 between strands, about 1 on them."""
    noise = np.random.default_rng(7).standard_normal((SIZE, SIZE)).astype(np.float32)
    long = cv2.GaussianBlur(noise, (0, 0), 1.5, sigmaY=9.0)
    return np.asarray(np.clip(0.85 + 0.2 * long / long.std(), 0, 1), np.float32)


@cache
def moustache_area(overhang: float = OVERHANG) -> Coverage:
    """Where a moustache grows: from under the nose to over the upper lip, to the corners and a little past them."""
    outer, inner = _place(TEMPLATE[LIPS_OUTER[:11]]), _place(TEMPLATE[LIPS_INNER[:11]])
    low = outer + overhang * (inner - outer)
    past = np.array([0.08 * SCALE, 0.10 * SCALE])
    nose = _place(TEMPLATE[_UPPER_EDGE[1:4]]) + np.array([0, 0.05 * SCALE])
    corners = [low[0] + past * (-1, 1), *low[1:-1], low[-1] + past, *nose[::-1]]
    return _area(np.array(corners), 0.025)


@cache
def beard_area() -> Coverage:
    """Chin, jaw and cheeks up to the corners of the mouth, the lips left out; with the moustache."""
    jaw = _place(TEMPLATE[JAW[2:-2]])
    lips = dilated(_place(TEMPLATE[LIPS_OUTER]), 0.01 * SCALE)
    below = _area(np.concatenate([jaw, _place(TEMPLATE[[425, 205]])]), 0.06) * (1 - _area(lips, 0.02))
    return np.maximum(below, moustache_area(TRIMMED))


def _hair(image: Image, face: Face, rng: np.random.Generator, area: Callable[[], Coverage]) -> Image:
    """``image`` with hair where ``area`` says."""
    height, width = image.shape[:2]
    box = bounding_box(face.points[LOWER].astype(np.float64), 0.2 * face.pose.scale, width, height)
    alpha = cv2.remap(area() * strands(), _texture_map(face, box), np.empty(0, np.float32), cv2.INTER_LINEAR)[..., None]
    x, y, w, h = box
    out = image.copy()
    region = out[y : y + h, x : x + w]
    light = 0.6 + 0.8 * cv2.cvtColor(region, cv2.COLOR_BGR2GRAY)[..., None] / 255
    region[:] = np.clip(region + 0.93 * alpha * (HAIR * light - region) + 0.5, 0, 255)
    return out


def _texture_map(face: Face, box: Box) -> npt.NDArray[np.float32]:
    """For every pixel of ``box`` the place in the texture, by a spline through the lower face's points."""
    here = face.points[LOWER, :2].astype(np.float64)
    plate = ThinPlate(here, _place(TEMPLATE[LOWER]), face.pose.scale, stiffness=2e-2)
    return identity_map(box) + plate.field(box, 2.0)


def _plain_lips(image: Image, face: Face, rng: np.random.Generator) -> Image:
    """Lips of the skin's colour, a mouth without bright teeth."""
    height, width = image.shape[:2]
    whole, unit = (0, 0, width, height), face.pose.scale
    outer, inner = (face.points[points, :2].astype(np.float64) for points in (LIPS_OUTER, LIPS_INNER))
    inside = np.asarray(feather(polygon(inner, whole), 0.015 * unit), np.float32)[..., None] / 255
    lips = np.asarray(feather(polygon(outer, whole), 0.03 * unit), np.float32)[..., None] / 255 * (1 - inside)
    around = (polygon(dilated(outer, 0.15 * unit), whole) > 0) & (polygon(dilated(outer, 0.05 * unit), whole) == 0)
    shift = np.median(image[around], axis=0) - (image * lips).sum((0, 1)) / max(float(lips.sum()), 1.0)
    out = image + SKIN_SHARE * lips * shift
    out *= 1 - (1 - INSIDE_LIGHT) * inside
    return np.asarray(np.clip(out + 0.5, 0, 255), np.uint8)


def _dark(image: Image, face: Face, rng: np.random.Generator) -> Image:
    """Little light and a sensor's noise."""
    noise = rng.standard_normal(image.shape, np.float32) * np.float32(GRAIN)
    return np.asarray(np.clip(image * np.float32(DIM) + noise + 0.5, 0, 255), np.uint8)


def _small(image: Image, face: Face, rng: np.random.Generator) -> Image:
    """Half as wide and high, even sizes for the encoder."""
    size = (image.shape[1] // 4 * 2, image.shape[0] // 4 * 2)
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


_moustache = partial(_hair, area=moustache_area)
_beard = partial(_hair, area=beard_area)
FACES: dict[str, tuple[Paint, ...]] = {
    "moustache": (_moustache,),
    "beard": (_plain_lips, _beard),
    "plain-lips": (_plain_lips,),
    "small": (_small,),
    "dark": (_dark,),
    "hard": (_plain_lips, _moustache, _small),
}


def painted(images: Sequence[Image], name: str, times_ns: Sequence[int] | None = None) -> list[Image]:
    """The pictures of a clip with the face made as ``name`` of FACES says; the last known face where none is found."""
    tracker, rng = MediaPipeTracker(smooth=False), np.random.default_rng(0)
    face: Face | None = None
    result = []
    try:
        times_ns = times_ns or steady_ns(len(images))
        for k, (image, at_ns) in enumerate(zip(images, times_ns, strict=True)):
            face = tracker.track(Frame(image, at_ns, k)).face or face
            result.append(image if face is None else _paint(image, face, name, rng))
    finally:
        tracker.close()
    return result


def _paint(image: Image, face: Face, name: str, rng: np.random.Generator) -> Image:
    for paint in FACES[name]:
        image = paint(image, face, rng)
    return image


def write_lossless(images: Sequence[Image], path: Path, times_ns: Sequence[int] | None = None) -> Path:
    """Write pictures that read back to the bit, their times to the millisecond, without sound; returns ``path``."""
    height, width = images[0].shape[:2]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=STEADY_FPS)
        stream.width, stream.height, stream.pix_fmt = width, height, "bgr0"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        for image, at_ns in zip(images, times_ns or steady_ns(len(images)), strict=True):
            frame = av.VideoFrame.from_ndarray(image, format="bgr24")
            frame.pts, frame.time_base = round(at_ns / MS), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path
