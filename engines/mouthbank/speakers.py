"""Several filmed people as one: in one measure, and each heard often enough.

One person opens the mouth twice as far as another for the same sound. What is live measures its own person
(``realtime_dub/mouth/mouthbank/style.py``); so a net learns the motion in the measure of a person in the middle.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from engines.common import Array
from engines.common.grid import Clip
from engines.common.metrics import openings

WIDE, SHUT = 0.95, 0.05  # quantiles of the lip opening
LEAST, MOST = 0.5, 2.0  # by which a person's motion is stretched


def ranges(clips: Sequence[Clip]) -> dict[str, float]:
    """How far each speaker opens the lips, in own mouth widths."""
    opened: dict[str, list[Array]] = defaultdict(list)
    for clip in clips:
        opened[clip.speaker].append(openings(clip.motion, clip.neutral))
    spans = {name: np.quantile(np.concatenate(own), [SHUT, WIDE]) for name, own in opened.items()}
    return {name: max(1e-3, float(wide - shut)) for name, (shut, wide) in spans.items()}


def in_one_measure(clips: list[Clip]) -> list[Clip]:
    """The clips, each person's motion as large as that of the one in the middle."""
    own = ranges(clips)
    middle = float(np.median(list(own.values())))
    scale = {name: float(np.clip(middle / span, LEAST, MOST)) for name, span in own.items()}
    return [replace(clip, motion=(clip.motion * np.float32(scale[clip.speaker]))) for clip in clips]


def evened(speakers: Sequence[str]) -> Array:
    """How often to draw each of these people's clips (n,), sum 1: of who has four times as many twice as many."""
    counts = Counter(speakers)
    weights = np.array([counts[name] ** -0.5 for name in speakers])
    return weights / weights.sum()
