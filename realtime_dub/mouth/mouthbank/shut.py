"""The shut mouth of a face that was seen with an open one only: a photograph, a laugh, a first look at a camera.

An estimate from the face's own proportions. Lips keep their height, a little less for the lower one, and meet where an
opening mouth leaves them: most of an opening is the lower lip's. The line in which they meet is nearly straight, also
where a smile has lifted its ends, and a smile's width comes back most of the way to the width that mouths have at rest.
The skin follows the lips. The shares are means of nine people of the GRID corpus, whose shut mouths are known.
"""

from __future__ import annotations

import numpy as np

from realtime_dub.face.alignment import LOWER, TEMPLATE, mouth_width
from realtime_dub.face.landmarks import CORNERS, LIPS, LIPS_INNER, LIPS_OUTER, mean_lip_opening
from realtime_dub.face.types import Points

# Mouth widths between the lips: below the first a mouth was seen shut, above the second it was seen open. A speaker's
# lips come nearer than a look or two can show, and where they are found apart even then, the finding is theirs.
SEEN, OPEN = 0.07, 0.11
SEEN_SPEAKING, OPEN_SPEAKING = 0.12, 0.2
UPPER_SHARE = 0.15  # of an opening, that the upper lip has gone up
CORNER_SHARE = 0.2  # and that the corners have gone down
LOWER_HEIGHT = 0.92  # of the lower lip's height when shut: lips that meet press
BENT = 0.3  # of how far the line's middle would lie from its ends
RESTING_WIDTH, SMILE_KEPT = 1.0, 0.35  # template units, beyond which a width is a smile's; the nine have 0.89 to 1.01
REACH = 0.5  # mouth widths: sigma of the skin that goes with the lips

_UPPER, _LOWER = LIPS_INNER[1:10], LIPS_INNER[:10:-1]  # pairs above each other, without the corners
_UPPER_OUTER, _LOWER_OUTER = LIPS_OUTER[1:10], LIPS_OUTER[:10:-1]
_ENDS = np.array([*CORNERS, LIPS_INNER[0], LIPS_INNER[10]])
SKIN = LOWER[~np.isin(LOWER, LIPS)]
_APART = np.linalg.norm(TEMPLATE[SKIN, None, :2] - TEMPLATE[LIPS_OUTER, :2], axis=-1)
NEAREST = LIPS_OUTER[_APART.argmin(1)]  # point of the lips to each of the skin's
FOLLOWS = np.exp(-0.5 * (_APART.min(1, keepdims=True) / REACH) ** 2).astype(np.float32)  # share of its way


def shut_shape(seen: Points, speaks: bool = False) -> Points | None:
    """The face ``seen`` (478, 3), canonical, with its mouth shut; None where it is.

    ``speaks``: it is that of somebody who was seen to speak, with the lips as near as they came.
    On the border part of the way, so that a face there does not jump.
    """
    opened = float(mean_lip_opening(seen)) / mouth_width(seen)
    least, most = (SEEN_SPEAKING, OPEN_SPEAKING) if speaks else (SEEN, OPEN)
    share = min(max((opened - least) / (most - least), 0.0), 1.0)
    return None if share <= 0 else np.asarray(seen + np.float32(share) * (_shut(seen) - seen), np.float32)


class ShutShapes:
    """:func:`shut_shape` of faces that are asked for several times a frame, and seldom are others."""

    def __init__(self) -> None:
        self._known: dict[bool, tuple[Points, Points | None]] = {}  # of each kind of face the last, and it shut

    def __call__(self, seen: Points, speaks: bool) -> Points | None:
        known = self._known.get(speaks)
        if known is None or known[0] is not seen:
            known = self._known[speaks] = seen, shut_shape(seen, speaks)
        return known[1]


def _shut(seen: Points) -> Points:
    shape = seen.copy()
    apart = (seen[_LOWER[4]] - seen[_UPPER[4]]) * np.array([0, 1, 1], np.float32)
    shape[_ENDS] -= np.float32(CORNER_SHARE) * apart
    line = seen[_UPPER] + np.float32(UPPER_SHARE) * (seen[_LOWER] - seen[_UPPER])
    _straighten(shape, line)
    shape[_UPPER] = shape[_LOWER] = line
    shape[_UPPER_OUTER] = line + (seen[_UPPER_OUTER] - seen[_UPPER])
    shape[_LOWER_OUTER] = line + np.float32(LOWER_HEIGHT) * (seen[_LOWER_OUTER] - seen[_LOWER])
    _narrow(shape)
    shape[SKIN] += FOLLOWS * (shape - seen)[NEAREST]
    return shape


def _straighten(shape: Points, line: Points) -> None:
    """Bring the middle of ``line`` (9, 3) and the ends of the mouth in ``shape`` nearer to one height, in place."""
    left, right = shape[list(CORNERS)]
    at = (line[:, 0] - left[0]) / (right[0] - left[0])
    low = float(line[4, 1] - (left[1] + right[1]) / 2)
    ends = np.float32((1 - BENT) / 2 * low)
    shape[_ENDS, 1] += ends
    line[:, 1] = left[1] + ends + at * (right[1] - left[1]) + BENT * low * 4 * at * (1 - at)


def _narrow(shape: Points) -> None:
    """Take most of a smile's width from lips that have met, in place."""
    width, middle = mouth_width(shape), float(shape[list(CORNERS), 0].mean())
    share = min(1.0, (RESTING_WIDTH + SMILE_KEPT * (width - RESTING_WIDTH)) / width)
    shape[LIPS, 0] = middle + np.float32(share) * (shape[LIPS, 0] - middle)
