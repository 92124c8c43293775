"""Two people for tests: the portrait, and one made of it with another face and skin. Their mouths open as told."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from typing import Literal

import cv2
import numpy as np

from benchmarks.media import voice
from realtime_dub.blend.composite import Compositor
from realtime_dub.blend.masks import feather, polygon
from realtime_dub.blend.warp import ThinPlate, identity_map
from realtime_dub.face.alignment import project
from realtime_dub.face.landmarks import LIPS_INNER
from realtime_dub.face.tracker import MediaPipeTracker
from realtime_dub.face.types import Face, TrackedFrame
from realtime_dub.media import MS, Image
from realtime_dub.mouth.contract import VOICE_RATE, MouthPatch
from realtime_dub.mouth.mouthbank.generator import MouthbankGenerator
from tests.faces import frame_of, portrait, tracked_portrait

Who = Literal["first", "second"]
HEIGHT = 300
FRAME_NS = 40 * MS
INSIDE = {"first": (200, 40, 40), "second": (30, 20, 60)}  # BGR of the open mouth: the first one's is blue
SKIN = np.array([0.66, 0.72, 0.8], np.float32)  # of the second person against the first
_OVAL = (
    *(10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152),
    *(148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109),
)
_CARRIED = np.argsort(np.random.default_rng(0).random(468))[:140]


def sitter(who: Who, opened: float = 0.0, height: int = HEIGHT) -> Image:
    """A picture of ``who``, the mouth ``opened`` 0..1."""
    image, face = _at_rest(who, height)[0].copy(), at_rest(who, height)
    inner = face.points[LIPS_INNER, :2]
    (x, y), width = inner.mean(0).tolist(), float(np.ptp(inner[:, 0]))
    if opened > 0.02:
        deep = 0.45 * width * opened
        cv2.ellipse(image, ((x, y + 0.6 * deep), (0.8 * width, 2 * deep), 0), INSIDE[who], -1, cv2.LINE_AA)
    return image


def at_rest(who: Who, height: int = HEIGHT) -> Face:
    """The face of :func:`sitter` with its mouth shut."""
    return _at_rest(who, height)[1]


@cache
def _at_rest(who: Who, height: int) -> tuple[Image, Face]:
    image = portrait(height) if who == "first" else _another(height)
    tracker = MediaPipeTracker()
    try:
        face = [tracker.track(frame_of(image, k)) for k in range(3)][-1].face
    finally:
        tracker.close()
    assert face is not None
    return image, face


def _another(height: int) -> Image:
    """Eyes nearer to each other, nose, jaw and mouth narrower, the face longer, the skin darker."""
    tracked = tracked_portrait(height)
    face = tracked.face
    assert face is not None
    shape = face.canonical.copy()
    y = shape[:, 1].copy()
    shape[:, 0] *= 1 - 0.15 * np.clip((y - 0.9) / 1.2, 0, 1)
    shape[:, 0] *= 1 - 0.18 * np.exp(-(((y - 0.2) / 0.35) ** 2))
    shape[:, 0] *= 1 - 0.4 * np.exp(-(((y - 0.95) / 0.2) ** 2) - (shape[:, 0] / 0.45) ** 2)
    shape[:, 1] += 0.12 * np.maximum(0, y - 0.3)
    goal = project(shape, face.pose)[:, :2].astype(np.float64)
    rows, columns = tracked.frame.image.shape[:2]
    whole = (0, 0, columns, rows)
    edge = [
        (a, b) for a in np.linspace(0, columns, 7) for b in np.linspace(0, rows, 7) if not (a % columns and b % rows)
    ]
    plate = ThinPlate(
        np.concatenate([goal[_CARRIED], edge]), np.concatenate([face.points[_CARRIED, :2], edge]), face.pose.scale
    )
    where = identity_map(whole) + plate.field(whole, 4.0)
    bent = cv2.remap(tracked.frame.image, where, np.empty(0), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    mask = feather(polygon(goal[list(_OVAL)], whole), 0.05 * face.pose.scale)[..., None].astype(np.float32) / 255
    return np.asarray(bent * (1 - mask * (1 - SKIN)) + 0.5, np.uint8)


def talk(who: Who, count: int, height: int = HEIGHT) -> list[Image]:
    """``count`` frames of somebody who speaks at 25 fps."""
    return [sitter(who, round(max(0.0, np.sin(0.9 * k)), 1), height) for k in range(count)]


def empty(count: int, height: int = HEIGHT) -> list[Image]:
    """A room with nobody in it."""
    room = np.full_like(sitter("first", height=height), 90)
    room[: height // 2] = 150
    return [room] * count


def fade(before: Image, after: Image, count: int) -> list[Image]:
    """``count`` frames from one picture to another."""
    shares = np.arange(1, count + 1) / (count + 1)
    return [np.asarray(cv2.addWeighted(before, 1 - share, after, share, 0), np.uint8) for share in shares]


class Dubbed:
    """One frame, what was drawn on it, and with whose bank."""

    def __init__(self, tracked: TrackedFrame, patch: MouthPatch | None, generator: MouthbankGenerator) -> None:
        self.tracked, self.patch, self.bank = tracked, patch, generator.identity
        self.known = generator.people.who(tracked) is not None
        self.image = tracked.frame.image if patch is None else Compositor().compose(tracked, patch, 1.0)

    @property
    def blue(self) -> int:
        return blue(self.tracked.frame.image, self.image)


def blue(before: Image, after: Image) -> int:
    """Pixels that have become blue: the first person's mouth."""
    gained = np.abs(after.astype(int) - before).max(-1)
    return int((((after[..., 0].astype(int) - after[..., 2]) > 50) & (gained > 30)).sum())


def dubbed(generator: MouthbankGenerator, images: Iterable[Image], face: str = "largest") -> Iterator[Dubbed]:
    """A film in which somebody speaks all the time, dubbed as the live loop does: every third frame is observed."""
    tracker, sound = MediaPipeTracker(face), np.tile(voice("demo")[VOICE_RATE // 2 : 3 * VOICE_RATE], 8)
    step, heard = VOICE_RATE // 25, 0
    try:
        for k, image in enumerate(images):
            while generator.heard_until_ns() < k * FRAME_NS:
                generator.hear(sound[heard * step : (heard + 1) * step], heard * FRAME_NS)
                heard += 1
            tracked = tracker.track(frame_of(image, k))
            patch = generator.generate(tracked, k * FRAME_NS)
            if k % 3 == 0:
                generator.observe(tracked)
            yield Dubbed(tracked, patch, generator)
    finally:
        tracker.close()
