"""A real face for tests: the public-domain portrait of Grace Hopper that matplotlib carries as sample data."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

import cv2
import numpy as np

from realtime_dub.blend.masks import polygon
from realtime_dub.face.alignment import LOWER, TEMPLATE, mouth_width
from realtime_dub.face.landmarks import CHIN, LIPS_INNER, LIPS_OUTER, mean_lip_opening
from realtime_dub.face.tracker import MediaPipeTracker
from realtime_dub.face.types import TrackedFrame
from realtime_dub.media import Frame, Image


@cache
def portrait(height: int = 480) -> Image:
    """The portrait scaled so that the face is webcam-sized in a picture ``height`` rows tall."""
    data = files("matplotlib").joinpath("mpl-data/sample_data/grace_hopper.jpg").read_bytes()
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    factor = 1.25 * height / image.shape[0]
    return np.ascontiguousarray(cv2.resize(image, None, fx=factor, fy=factor)[:height])


@cache
def tracked_portrait(height: int = 480) -> TrackedFrame:
    """The portrait with its face found."""
    tracker = MediaPipeTracker()
    try:
        return tracker.track(frame_of(portrait(height)))
    finally:
        tracker.close()


def with_lips(*by: float) -> Image:
    """The portrait with its lips, and what is between them, another colour by so many levels, BGR."""
    tracked = tracked_portrait()
    assert tracked.face is not None
    image = tracked.frame.image.copy()
    box = (0, 0, tracked.frame.width, tracked.frame.height)
    on = polygon(tracked.face.points[LIPS_OUTER, :2].astype(np.float64), box) > 127
    image[on] = np.clip(image[on] + np.array(by), 0, 255)
    return image


def frame_of(image: Image, seq: int = 0) -> Frame:
    """A frame of a 25 fps source."""
    return Frame(image, seq * 40_000_000, seq)


def jaw_drop(amount: float) -> np.ndarray:
    """The lower lip and the jaw go down by ``amount`` mouth widths in the middle, the corners stay."""
    moved = np.zeros((len(LOWER), 3), np.float32)
    across = np.clip(1 - (2 * TEMPLATE[LOWER, 0]) ** 2, 0, 1)
    upper = np.isin(LOWER, np.concatenate([LIPS_OUTER[1:10], LIPS_INNER[1:10]]))
    below = (TEMPLATE[LOWER, 1] > TEMPLATE[LIPS_INNER[5], 1]) & ~upper
    moved[below, 1] = amount * across[below]
    moved[LOWER == CHIN, 1] = amount
    return moved


def read(image: Image) -> TrackedFrame:
    """A picture with the face found in it, looked for three times: the mesh looks where it was before."""
    tracker = MediaPipeTracker(smooth=False)
    try:
        return [tracker.track(frame_of(image, n)) for n in range(3)][-1]
    finally:
        tracker.close()


def opening_of(image: Image) -> float:
    found = read(image).face
    assert found is not None
    return float(mean_lip_opening(found.canonical)) / mouth_width(found.canonical)


def openings_in(pictures: list[Image]) -> np.ndarray:
    """Of the faces in one picture after another; those without a face are left out."""
    tracker = MediaPipeTracker(smooth=False)
    try:
        faces = [tracker.track(frame_of(picture, n)).face for n, picture in enumerate(pictures)]
    finally:
        tracker.close()
    return np.array([mean_lip_opening(face.canonical) for face in faces if face is not None])
