"""Whether a sound is as loud as the person has been: breaths, and voices farther off, are not.

The net hears that somebody speaks, not who. The level of the person's speech is followed as the level that one frame in
thirty of it is above; who is far below it is somebody else, or no speech. Before the first word nothing is known.
"""

from __future__ import annotations

import numpy as np

from realtime_dub.audio.frontends.logmel import LogMelSpec
from realtime_dub.media import NS, Floats

BELOW_DB = 18.0  # quieter than the person's loud sounds by this much is not the person
RISE_DB_S = 30.0  # a knock that is taken for speech lifts the level by little
FALL_DB_S = 1.0  # a person who goes on more quietly by 25 dB is heard again after 7 s
SURE = 0.6  # probability of speech that counts as a voice
LOWEST = 4  # bands below this one hold rumble
AROUND = 2  # frames before an instant whose level counts as its own


class SpeakerLevel:
    """Takes the probability of speech away where it is too quiet. Chunks of any size give the same."""

    def __init__(self, spec: LogMelSpec, delay: int) -> None:
        """``delay``: frames from the one that an output belongs to, to the newest that the net has heard for it."""
        self._spec = spec
        self._rise, self._fall = (rate * spec.hop_ns / NS for rate in (RISE_DB_S, FALL_DB_S))
        self._span = AROUND + 1 + delay
        self.reset()

    def reset(self) -> None:
        """A new stream: nobody has spoken."""
        self._recent: list[float] = []
        self._own_db: float | None = None

    def __call__(self, mel: Floats, speech: Floats) -> Floats:
        """Features (m, bands) and the net's outputs for them (m,): these, and 0 where it is too quiet."""
        power = np.exp(mel[:, LOWEST:] * self._spec.scale + self._spec.mean).mean(1)
        levels_db = 10 * np.log10(power)
        told = [self._one(float(level), float(sure)) for level, sure in zip(levels_db, speech, strict=True)]
        return np.array(told, np.float32)

    def _one(self, newest_db: float, sure: float) -> float:
        self._recent = [*self._recent, newest_db][-self._span :]
        if len(self._recent) < self._span:
            return sure
        near = self._own_db is None or max(self._recent) > self._own_db - BELOW_DB
        if sure >= SURE:
            self._follow(self._recent[AROUND])
        return sure if near else 0.0

    def _follow(self, level_db: float) -> None:
        own = self._own_db
        if own is None:
            self._own_db = level_db - BELOW_DB  # it may be a knock
        elif level_db > own:
            self._own_db = min(level_db, own + self._rise)
        else:
            self._own_db = own - self._fall
