"""Audio whose stamps go to and fro, on a ring without holes: its samples are counted, until the stamps are far off."""

from __future__ import annotations

from realtime_dub.flow import AudioRing
from realtime_dub.media import MS, AudioBlock, Samples, samples_to_ns

APART_NS = 30 * MS  # that a stamp and the count may be, before the stamp is taken anew


class Counted:
    """Writes onto ``ring``."""

    def __init__(self, ring: AudioRing) -> None:
        self._ring = ring
        self._next_ns: int | None = None  # where the next audio belongs, counted

    def write(self, samples: Samples, at_ns: int) -> None:
        """(n, channels)."""
        if self._next_ns is None or abs(at_ns - self._next_ns) > APART_NS:
            self._next_ns = at_ns
        self._ring.write(AudioBlock(samples, self._ring.rate, self._next_ns))
        self._next_ns += samples_to_ns(len(samples), self._ring.rate)
