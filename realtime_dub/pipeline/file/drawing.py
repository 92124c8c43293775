"""``--draw``: the mouth's outlines beside the film, frame by frame, as a film of its own."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import cv2
import numpy as np

from realtime_dub.media import Floats, Image, OutputFormat, Tick
from realtime_dub.publishers.base import Publisher

SIDE = 320  # pixels
WIDTHS = 1.6  # mouth widths that are seen
LINE, DOT = (120, 60, 20), (40, 40, 220)  # BGR
_FINE = 4  # bits of a pixel


def outlines(lips: Floats | None) -> Image:
    """Outer and inner lips (40, 2), mouth widths from their middle, as lines and points; blank without any."""
    image = np.full((SIDE, SIDE, 3), 255, np.uint8)
    if lips is None:
        return image
    places = np.rint((lips * (SIDE / WIDTHS) + SIDE / 2) * (1 << _FINE)).astype(np.int32)
    cv2.polylines(image, [places[:20], places[20:]], True, LINE, 2, cv2.LINE_AA, _FINE)
    for x, y in places.tolist():
        cv2.circle(image, (x, y), 3 << _FINE, DOT, -1, cv2.LINE_AA, _FINE)
    return image


class Drawing:
    """The second film of a run: the same ticks and sound, other pictures."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher

    def open(self, fps: Fraction, rate: int, channels: int) -> None:
        self._publisher.open(OutputFormat(SIDE, SIDE, fps, rate, channels, False))

    def publish(self, tick: Tick, lips: Floats | None) -> None:
        self._publisher.publish(replace(tick, image=outlines(lips), coded=None, changed=None))

    def close(self) -> None:
        self._publisher.close()
