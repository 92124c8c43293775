"""Whether somebody speaks just now: shown beside their name, and nothing else."""

from __future__ import annotations

import numpy as np

from realtime_dub.media import MS, Samples

SPEAKS_DB, STILL_DB = -42.0, -48.0  # of full scale: begins above the one, goes on above the other
HELD_NS = 450 * MS  # over the gaps between words


class Activity:
    """Of one voice, block by block."""

    def __init__(self) -> None:
        self._until_ns: int | None = None

    def hear(self, samples: Samples, now_ns: int) -> None:
        """(n, 1), as they come."""
        least_db = STILL_DB if self.speaks(now_ns) else SPEAKS_DB
        power = float(np.mean(np.square(samples))) if len(samples) else 0.0
        if power > 10 ** (least_db / 10):
            self._until_ns = now_ns + HELD_NS

    def speaks(self, now_ns: int) -> bool:
        return self._until_ns is not None and now_ns < self._until_ns
