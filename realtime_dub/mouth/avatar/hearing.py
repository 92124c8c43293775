"""What an avatar hears of a voice: what mouthbank's motion net tells of it, and silence where nothing was heard.

The published system reads the logits of a speech recogniser there. These features are made of our speech net's
posteriors, of levels and of details, for any voice.
"""

from __future__ import annotations

import numpy as np

from realtime_dub.inference import AUTO
from realtime_dub.inference.bundle import Bundle, load_default
from realtime_dub.media import MS, NS, Floats, Samples, samples_to_ns
from realtime_dub.mouth.contract import VOICE_RATE
from realtime_dub.mouth.mouthbank.motion import MotionStream

__all__ = ["ROW_MS", "Hearing", "rows_of"]

ENGINE = "mouthbank"
ROW_MS = 20  # between rows, as published: 50 a second
HELD_NS = 100 * MS  # behind what is known: so long the last row stays, later it is silent
MOST_ROWS = 256  # that are remembered
_BLOCK = VOICE_RATE // 2  # samples of a sound that is there as a whole


class Hearing:
    """One voice. Rows (n,) of ``features`` numbers, at any instant. Not thread-safe."""

    def __init__(self, backend: str = AUTO, bundle: Bundle | None = None) -> None:
        self.bundle = bundle or load_default(ENGINE)
        self.silence = _silence(self.bundle, backend)
        self._stream = MotionStream(self.bundle, backend)
        self.look_ahead_ns, self.front_end_ns = self._stream.look_ahead_ns, self._stream.front_end_ns
        self.hop_ns = self._stream.hop_ns
        self._known: dict[int, Floats] = {}

    @property
    def features(self) -> int:
        return len(self.silence)

    @property
    def label(self) -> str:
        """Of the net, as bundles name it that were taught with it."""
        return self.bundle.label

    def hear(self, samples: Samples, at_ns: int) -> None:
        """Sound (n,) at 16 kHz, its first sample at ``at_ns``. Behind a hole it begins anew."""
        self._stream.hear(samples, at_ns)

    def known_until_ns(self) -> int:
        """Rows up to this instant are known; far in the past before the first sound."""
        return self._stream.heard_until_ns()

    def rows(self, last_ns: int, count: int, step_ns: int) -> Floats:
        """Rows (count, features), ``step_ns`` apart, the last at ``last_ns``."""
        return np.stack([self._row(last_ns - back * step_ns) for back in reversed(range(count))])

    def _row(self, ns: int) -> Floats:
        if (found := self._known.get(ns)) is not None:
            return found
        until = self.known_until_ns()
        if ns > until + HELD_NS:
            return self.silence
        told = self._stream.at(ns).features
        row = self.silence if told is None else told
        if ns <= until:
            self._remember(ns, row)
        return row

    def _remember(self, ns: int, row: Floats) -> None:
        self._known[ns] = row
        for oldest in list(self._known)[: -MOST_ROWS // 2] if len(self._known) > MOST_ROWS else ():
            del self._known[oldest]


def rows_of(hearing: Hearing, sound: Floats, begin_ns: int = 0) -> Floats:
    """The rows (n, features) of a whole sound, row i at ``i * ROW_MS``. It must not follow what was heard before."""
    count = -(-len(sound) // (VOICE_RATE * ROW_MS // 1000))
    behind = np.zeros((hearing.look_ahead_ns + hearing.front_end_ns) * VOICE_RATE // NS + 2 * ROW_MS * 16, np.float32)
    whole, found = np.concatenate([sound, behind]), np.zeros((count, hearing.features), np.float32)
    made = 0
    for start in range(0, len(whole), _BLOCK):
        hearing.hear(whole[start : start + _BLOCK], begin_ns + samples_to_ns(start, VOICE_RATE))
        while made < count and begin_ns + made * ROW_MS * MS <= hearing.known_until_ns():
            found[made] = hearing.rows(begin_ns + made * ROW_MS * MS, 1, 1)[0]
            made += 1
    assert made == count
    return found


def _silence(bundle: Bundle, backend: str) -> Floats:
    """What the net tells when it has heard nothing for a second."""
    stream = MotionStream(bundle, backend)
    stream.hear(np.zeros(VOICE_RATE, np.float32), 0)
    told = stream.at(stream.heard_until_ns()).features
    assert told is not None
    return told
