"""A notice that is heard at the start of a call: a chime, or a sentence. It is mixed into what leaves, over the voice;
the engine does not hear it, so no mouth moves to it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from realtime_dub.media import Floats, Samples

AFTER_S = 1.0  # from the first tick: encoders and players have begun by then
VOICE = 0.35  # of its level, while the notice is heard: -9 dB
RAMP_S = 0.05
LEVEL = 0.18  # of a chime's loudest note
NOTES_HZ = (784.0, 1046.5)  # g'' and c''', a fourth up
NOTE_S, DECAY_S = 0.35, 0.12


class Notice:
    """``heard`` (n,) at ``rate`` Hz, once, ``AFTER_S`` after the start."""

    def __init__(self, heard: Floats, rate: int) -> None:
        ramp = max(1, round(RAMP_S * rate))
        down = np.linspace(1.0, VOICE, ramp, dtype=np.float32)
        silent = np.zeros(ramp, np.float32)
        self._heard = np.concatenate([silent, np.asarray(heard, np.float32), silent])[:, None]
        self._voice = np.concatenate([down, np.full(len(heard), VOICE, np.float32), down[::-1]])[:, None]
        self._first = round(AFTER_S * rate)

    def over(self, samples: Samples, first: int) -> Samples:
        """``samples`` (n, channels), the first of which is number ``first`` since the start, with the notice."""
        begin = max(first, self._first)
        end = min(first + len(samples), self._first + len(self._heard))
        if begin >= end:
            return samples
        mixed: Samples = samples.copy()
        here = slice(begin - self._first, end - self._first)
        part = mixed[begin - first : end - first]
        part *= self._voice[here]
        part += self._heard[here]
        np.clip(mixed, -1.0, 1.0, out=mixed)
        return mixed


def chime(rate: int) -> npt.NDArray[np.float32]:
    """Two notes (n,), each dying away."""
    at = np.arange(round(NOTE_S * rate)) / rate
    shape = np.exp(-at / DECAY_S) * np.minimum(1.0, at / 0.005)
    notes = [LEVEL * shape * np.sin(2 * np.pi * hz * at) for hz in NOTES_HZ]
    return np.asarray(np.concatenate(notes), np.float32)
