"""What is one person's own in how a mouth moves for a voice: what a last layer and what a whole trunk have learnt.

Both learn from the same lessons, and their errors differ. From a minute they are worth the same, and half of each is
worth more than either; from many minutes the trunk knows more (``dev-log.md``). But of lips that touch the trunk
knows less, however long it was taught: there the layer alone speaks.
"""

from __future__ import annotations

import math

import numpy as np

from realtime_dub.face.types import Points
from realtime_dub.mouth.mouthbank.adapter import MOST_MOVED, Adapter
from realtime_dub.mouth.mouthbank.tuning import Tuned
from realtime_dub.mouth.mouthbank.voice_stream import Motion

NEAR = 0.06  # mouth widths: lips so near each other are more the layer's than the trunk's


def own_motion(motion: Motion, adapter: Adapter | None, tuned: Tuned | None, opened: float) -> Points | None:
    """What to add to the net's mouth (len(LOWER), 3), mouth widths; None where nothing is known.

    ``tuned``: what the stream that gave ``motion`` is tuned by; ``opened``: how far the lips are open without that.
    """
    share = 0.0 if tuned is None or motion.tuned is None else tuned.share
    layer = None if adapter is None or motion.features is None else adapter.moved(motion.features)
    if share == 0 or motion.tuned is None:
        return layer
    trunk = np.clip(motion.tuned, -MOST_MOVED, MOST_MOVED)
    if layer is None:
        return trunk * np.float32(share)
    share *= 1 - math.exp(-((max(opened, 0.0) / NEAR) ** 2))
    return np.asarray(trunk * np.float32(share) + layer * np.float32(1 - share), np.float32)
