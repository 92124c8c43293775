"""What is one person's own in how a mouth moves for a voice: what a last layer and what a whole trunk have learnt.

Both learn from the same lessons, and their errors differ. From a minute they are worth the same, and half of each is
worth more than either; from many minutes the trunk knows more (``dev-log.md``).
"""

from __future__ import annotations

import numpy as np

from realtime_dub.face.types import Points
from realtime_dub.mouth.mouthbank.adapter import MOST_MOVED, Adapter
from realtime_dub.mouth.mouthbank.tuning import Tuned
from realtime_dub.mouth.mouthbank.voice_stream import Motion


def own_motion(motion: Motion, adapter: Adapter | None, tuned: Tuned | None) -> Points | None:
    """What to add to the net's mouth (len(LOWER), 3), mouth widths; None where nothing is known.

    ``tuned``: what the stream that gave ``motion`` is tuned by.
    """
    share = 0.0 if tuned is None or motion.tuned is None else tuned.share
    layer = None if adapter is None or motion.features is None else adapter.moved(motion.features)
    if share == 0 or motion.tuned is None:
        return layer
    trunk = np.clip(motion.tuned, -MOST_MOVED, MOST_MOVED) * np.float32(share)
    return trunk if layer is None else trunk + layer * np.float32(1 - share)
