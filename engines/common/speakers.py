"""Several filmed people as one: in one measure, and each heard often enough.

One person opens the mouth twice as far as another for the same sound, and one rests with lips apart where another's
touch. What is live counts from its own person's closed lips, in their own measure
(``realtime_dub/mouth/mouthbank/style.py``); so a net learns the motion from closed lips, in the measure of a person in
the middle.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from engines.common import Array
from engines.common.grid import Clip
from engines.common.metrics import openings
from realtime_dub.mouth.mouthbank.bank import CLOSED_SHARE, WIDE_SHARE

LEAST, MOST = 0.5, 2.0  # by which a person's motion is stretched


@dataclass(frozen=True, eq=False)
class Reach:
    """How near a speaker's lips come, how far they go, in own mouth widths, and what the face does when they go far."""

    shut: float
    wide: float
    opened: Array  # (168, 3) motion, the mean of the widest

    @classmethod
    def of(cls, clips: Sequence[Clip]) -> Reach:
        """Of one speaker's clips, by the quantiles that are used live."""
        motion = np.concatenate([clip.motion for clip in clips])
        opened = np.concatenate([openings(clip.motion, clip.neutral) for clip in clips])
        shut, wide = (float(each) for each in np.quantile(opened, [CLOSED_SHARE, WIDE_SHARE]))
        return cls(shut, wide, np.asarray(motion[opened >= wide].mean(0), np.float32))

    @property
    def span(self) -> float:
        return max(1e-3, self.wide - self.shut)

    def closed(self, clip: Clip) -> Array:
        """Motion (168, 3) that takes the clip's resting face to lips as near as they come (``Bank.closed``)."""
        resting, wide = openings(np.stack([np.zeros_like(self.opened), self.opened]), clip.neutral)
        share = (resting - self.shut) / (wide - resting) if wide > resting else 0.0
        return np.asarray(-np.float32(np.clip(share, 0, 1)) * self.opened)


def reaches(clips: Sequence[Clip]) -> dict[str, Reach]:
    """Of each speaker."""
    own: dict[str, list[Clip]] = defaultdict(list)
    for clip in clips:
        own[clip.speaker].append(clip)
    return {name: Reach.of(theirs) for name, theirs in own.items()}


def in_one_measure(clips: list[Clip]) -> list[Clip]:
    """The clips, each person's motion from closed lips, and as large as that of the one in the middle."""
    own = reaches(clips)
    middle = float(np.median([reach.span for reach in own.values()]))
    return [replace(clip, motion=_measured(clip, own[clip.speaker], middle)) for clip in clips]


def _measured(clip: Clip, own: Reach, middle: float) -> Array:
    scale = np.float32(np.clip(middle / own.span, LEAST, MOST))
    return np.asarray((clip.motion - own.closed(clip)) * scale)
