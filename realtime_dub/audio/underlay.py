"""The original under the dub: as loud as the dub, and softer while the interpreter speaks, from just before they do.

In blocks of 20 ms at 48 kHz. The dub is known a little ahead of its time, so the original is down when a word begins
and the ear hears no step: its level moves along a straight line in decibels.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from realtime_dub.audio.loudness import RATE, BlockPower, ShortTerm, lufs
from realtime_dub.media import Floats, Samples

BLOCK = RATE // 50  # samples
AHEAD = 3  # blocks of the dub that are known beyond the one that is made: 60 ms, the way down
HOLD = 20  # blocks after the last loud one in which it stays down: pauses between words are none
DUCK_DB = -18.0
RISE_DB = 0.72  # a block, on the way up: half a second for all of it
SPEAKS_LUFS, BELOW_LU = -50.0, 20.0  # louder than that, and than so far below one's own loudness, is speaking
MEASURED, ENOUGH = 150, 25  # blocks of speech that loudness is taken of; from so many on
MOST_DB, MATCH_DB = 12.0, 0.06  # of matching: either way, and in a block (3 dB a second)
EDGES = np.linspace(0.0, 1.0, BLOCK + 1)[1:]  # of a ramp, from after the last sample to the block's own last


class Underlay:
    """One dub's. ``duck_db``: how far the original goes down."""

    def __init__(self, duck_db: float = DUCK_DB) -> None:
        self._duck_db = duck_db
        self._power = BlockPower(BLOCK)
        self._voice, self._own = ShortTerm(MEASURED, SPEAKS_LUFS), ShortTerm(MEASURED, SPEAKS_LUFS)
        self._ducked_db = self._matched_db = 0.0
        self._active: deque[bool] = deque([False] * (HOLD + 1 + AHEAD), maxlen=HOLD + 1 + AHEAD)

    def process(self, original: Samples, ahead: Samples) -> Samples:
        """``original`` of this block, the dub ``AHEAD`` blocks later, (BLOCK, 1) each; what is added at level 1."""
        self._hear(original, ahead)
        start_db = self._ducked_db + self._matched_db
        down = any(self._active)
        step_db = self._duck_db / AHEAD if down else RISE_DB
        self._ducked_db = max(self._duck_db, min(0.0, self._ducked_db + step_db))
        self._matched_db += max(-MATCH_DB, min(MATCH_DB, self._apart_db() - self._matched_db))
        gain = _ramp(start_db, self._ducked_db + self._matched_db)
        return np.asarray(original * gain[:, None], np.float32)

    def _hear(self, original: Samples, ahead: Samples) -> None:
        spoken = self._power(ahead)
        self._own.add(self._power(original))
        self._voice.add(spoken)
        usual = self._voice.lufs(ENOUGH)
        least = SPEAKS_LUFS if usual is None else max(SPEAKS_LUFS, usual - BELOW_LU)
        self._active.append(lufs(spoken) > least)

    def _apart_db(self) -> float:
        """How much louder the dub is than the original."""
        voice, own = self._voice.lufs(ENOUGH), self._own.lufs(ENOUGH)
        if voice is None or own is None:
            return 0.0
        return max(-MOST_DB, min(MOST_DB, voice - own))


def _ramp(from_db: float, to_db: float) -> Floats:
    """(BLOCK,) factors."""
    if from_db == to_db:
        return np.full(BLOCK, 10 ** (to_db / 20))
    return np.asarray(10 ** ((from_db + (to_db - from_db) * EDGES) / 20))
