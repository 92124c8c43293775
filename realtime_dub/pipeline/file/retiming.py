"""Re-timing: which frame of a film is shown when, so that the head is quiet and no eye blinks while the voice rests.

After Suwajanakorn and others 2017. The film plays on; now and then a frame is shown for two, never for three. Dynamic
programming finds where: movement and blinks in silence cost, and so does every repetition. A repeated frame is replaced
by the one half-way to the next, made by optical flow. A film that is too short plays back and forth.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from realtime_dub.face.types import TrackedFrame
from realtime_dub.media import Floats, Image

SILENT_COST = 2.0  # of what moves most, for a frame of silence
REPEAT_COST = 2.0
MOST_REPEATS = 250  # of a film: ten seconds at 25 a second
TURN_DEG, SHIFT = 2.0, 0.06  # from frame to frame, that count as much: degrees, mouth widths
BLINK_SHUT, BLINK_OPEN = 0.10, 0.20  # of an eye's width: lids so far apart
_LIDS = ((159, 145, 33, 133), (386, 374, 263, 362))  # upper, lower, corners of each eye

Order = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Retimed:
    """The film in its new order."""

    places: Order  # (m,) of the film played back and forth without end
    repeated: npt.NDArray[np.bool_]  # (m,) the frame before is shown once more, half-way to the next

    def frames(self, count: int) -> Order:
        """Numbers (m,) of a film's ``count`` frames."""
        return folded(self.places, count)


def folded(places: Order, count: int) -> Order:
    """Places of an endless line as numbers of ``count`` frames that are played back and forth."""
    if count < 2:
        return np.zeros_like(places)
    within = places % (2 * (count - 1))
    return np.minimum(within, 2 * (count - 1) - within)


def retimed(activity: Floats, silent: npt.NDArray[np.bool_]) -> Retimed:
    """The cheapest order for a voice, ``silent`` in some of its frames (m,); ``activity`` (n,) of the film's."""
    count, most = len(silent), min(MOST_REPEATS, len(silent) // 2)
    repeats = np.arange(most + 1)
    silence = SILENT_COST * silent.astype(np.float64)
    cost = np.full((2, most + 1), np.inf)  # by the last step, which went on or repeated; by repetitions so far
    cost[0, 0] = silence[0] * activity[0] if count else 0
    came = np.zeros((count, 2, most + 1), np.bool_)  # whether what was before had repeated
    for at in range(1, count):
        places = folded(np.maximum(at - repeats, 0), len(activity))
        here = silence[at] * activity[places]
        gone_on = cost.min(0) + here
        again = np.full(most + 1, np.inf)
        again[1:] = cost[0, :-1] + REPEAT_COST + here[1:]
        came[at, 0] = cost[1] < cost[0]
        cost = np.stack([gone_on, again])
    return _followed_back(cost, came, count)


def _followed_back(cost: npt.NDArray[np.float64], came: npt.NDArray[np.bool_], count: int) -> Retimed:
    step, repeats = (int(each) for each in np.unravel_index(int(cost.argmin()), cost.shape))
    places, repeated = np.zeros(count, np.int64), np.zeros(count, np.bool_)
    for at in range(count - 1, -1, -1):
        places[at], repeated[at] = at - repeats, bool(step)
        if step:
            step, repeats = 0, repeats - 1
        else:
            step = int(came[at, 0, repeats])
    return Retimed(places, repeated)


def straight(count: int) -> Retimed:
    """The film as it is, back and forth if need be."""
    return Retimed(np.arange(count, dtype=np.int64), np.zeros(count, np.bool_))


def activity_of(tracked: list[TrackedFrame]) -> Floats:
    """How much the head moves and the eyes blink in each frame (n,); nothing where there is no face."""
    found = np.zeros(len(tracked), np.float32)
    for at, seen in enumerate(tracked):
        found[at] = 0.0 if seen.face is None else blink(seen)
        before = tracked[at - 1].face if at else None
        if seen.face is not None and before is not None:
            turn = seen.face.pose.rotation @ before.pose.rotation.T
            degrees = float(np.degrees(np.arccos(np.clip((np.trace(turn) - 1) / 2, -1, 1))))
            shift = float(np.linalg.norm(seen.face.pose.shift[:2] - before.pose.shift[:2])) / seen.face.pose.scale
            found[at] += min(1.0, np.hypot(degrees / TURN_DEG, shift / SHIFT))
    return found


def blink(seen: TrackedFrame) -> float:
    """How far the eyes are shut, 0..1."""
    if seen.face is None:
        return 0.0
    points = seen.face.canonical
    apart = [
        float(np.linalg.norm(points[up] - points[down]) / (np.linalg.norm(points[one] - points[other]) + 1e-6))
        for up, down, one, other in _LIDS
    ]
    return float(np.clip((BLINK_OPEN - np.mean(apart)) / (BLINK_OPEN - BLINK_SHUT), 0, 1))


def half_way(before: Image, after: Image) -> Image:
    """The frame between two, by dense optical flow from both sides."""
    grey = [cv2.cvtColor(each, cv2.COLOR_BGR2GRAY) for each in (before, after)]
    flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    empty: Any = None  # of which OpenCV's types do not know
    ways = (before, flow.calc(grey[0], grey[1], empty)), (after, flow.calc(grey[1], grey[0], empty))
    mixed = [_moved(image, np.asarray(by, np.float32)).astype(np.uint16) for image, by in ways]
    return np.asarray((mixed[0] + mixed[1] + 1) // 2, np.uint8)


def _moved(image: Image, flow: Floats) -> Image:
    """``image`` gone half of its way."""
    height, width = flow.shape[:2]
    grid = np.stack(np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)), -1)
    where = (grid - 0.5 * flow).astype(np.float32)
    empty = np.empty(0, np.float32)
    return np.asarray(cv2.remap(image, where, empty, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.uint8)
