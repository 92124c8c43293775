"""Landmarks as lines: what the networks of landmarks see of a face, for people to look at; and curves of openness."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
import numpy.typing as npt

from realtime_dub.face.scheme68 import LINES
from realtime_dub.face.types import Points
from realtime_dub.media import Image

GREY, WHITE, INK = 128, 255, (40, 40, 40)
FACE_COLOUR, MOUTH_COLOUR = (60, 60, 60), (60, 60, 230)  # BGR
COLOURS = ((170, 119, 68), (119, 102, 238), (51, 136, 34), (85, 204, 204), (170, 51, 119), (119, 170, 68))
MOUTH_FROM = 48
SUBPIXEL = 4  # bits
WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 1200, 420, 60, 50, 20  # of a plot, pixels
FONT = cv2.FONT_HERSHEY_SIMPLEX

Curve = tuple[npt.NDArray[np.float64], npt.NDArray[np.float32]]  # times, s, and values


def drawn(points: Points | None, width: int, height: int) -> Image:
    """The 68 landmarks (68, 2) on grey, pixels; nothing where there is no face."""
    image = np.full((height, width, 3), GREY, np.uint8)
    if points is None or not np.isfinite(points).all():
        return image
    thick = max(1, round(height / 240))
    at = np.rint(np.clip(points, -4 * width, 4 * width) * (1 << SUBPIXEL)).astype(np.int32)
    for row, closed in LINES:
        colour = MOUTH_COLOUR if row[0] >= MOUTH_FROM else FACE_COLOUR
        cv2.polylines(image, [at[list(row)]], closed, colour, thick, cv2.LINE_AA, SUBPIXEL)
    return image


def plotted(curves: Mapping[str, Curve]) -> Image:
    """Curves over time, each with its name; NaN breaks a line."""
    image = np.full((HEIGHT, WIDTH, 3), WHITE, np.uint8)
    last = max((float(times[-1]) for times, _ in curves.values() if len(times)), default=1.0) or 1.0
    finite = [values[np.isfinite(values)] for _, values in curves.values()]
    highest = max((float(values.max()) for values in finite if len(values)), default=1.0) * 1.1 or 1.0
    _axes(image, last, highest)
    for place, (name, (times, values)) in enumerate(curves.items()):
        colour = COLOURS[place % len(COLOURS)]
        x = LEFT + times / last * (WIDTH - LEFT - TOP)
        y = HEIGHT - BOTTOM - values / highest * (HEIGHT - BOTTOM - TOP)
        for piece in _whole(np.stack([x, y], 1)):
            at = np.rint(piece * (1 << SUBPIXEL)).astype(np.int32)
            cv2.polylines(image, [at], False, colour, 2, cv2.LINE_AA, SUBPIXEL)
        shown = name.encode("ascii", "replace").decode()[:60]
        cv2.putText(image, shown, (LEFT + 12, TOP + 18 + 22 * place), FONT, 0.5, colour, 1, cv2.LINE_AA)
    return image


def _axes(image: Image, last: float, highest: float) -> None:
    bottom = HEIGHT - BOTTOM
    cv2.line(image, (LEFT, TOP), (LEFT, bottom), INK, 1)
    cv2.line(image, (LEFT, bottom), (WIDTH - TOP, bottom), INK, 1)
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        x = round(LEFT + share * (WIDTH - LEFT - TOP))
        cv2.putText(image, f"{share * last:.1f} s", (x - 18, bottom + 22), FONT, 0.45, INK, 1, cv2.LINE_AA)
        y = round(bottom - share * (bottom - TOP))
        cv2.putText(image, f"{share * highest:.2f}", (8, y + 5), FONT, 0.45, INK, 1, cv2.LINE_AA)


def _whole(points: npt.NDArray[np.float64]) -> list[npt.NDArray[np.float64]]:
    """The stretches that have numbers."""
    gaps = np.flatnonzero(~np.isfinite(points).all(1))
    pieces = np.split(points, gaps)
    return [piece for each in pieces if len(piece := each[np.isfinite(each).all(1)]) > 1]
