"""A real face for tests: the public-domain portrait of Grace Hopper that matplotlib carries as sample data."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

import cv2
import numpy as np

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


def frame_of(image: Image, seq: int = 0) -> Frame:
    """A frame of a 25 fps source."""
    return Frame(image, seq * 40_000_000, seq)
