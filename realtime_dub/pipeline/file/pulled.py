"""The sound of a file on media time, pulled as far as it is wanted."""

from __future__ import annotations

from collections import deque

import numpy as np

from realtime_dub.audio.samples import cleaned
from realtime_dub.errors import EndOfStream
from realtime_dub.media import AudioBlock, Samples, ns_to_samples, samples_to_ns
from realtime_dub.sources.base import VoiceSource


class TimedAudio:
    """Audio in pieces one after another, read by time. Sample 0 is the one nearest to time 0."""

    def __init__(self, rate: int, channels: int) -> None:
        self.rate, self.channels = rate, channels
        self._parts: deque[tuple[int, Samples]] = deque()  # first sample's number, samples
        self._end: int | None = None  # number after the last sample

    def read(self, start_ns: int, count: int) -> Samples:
        """``count`` samples from ``start_ns`` on, a new array (count, channels); silence where there are none."""
        first = ns_to_samples(start_ns, self.rate)
        out = np.zeros((count, self.channels), np.float32)
        for start, samples in self._parts:
            if start >= first + count:
                break
            low, high = max(first, start), min(first + count, start + len(samples))
            if high > low:
                out[low - first : high - first] = samples[low - start : high - start]
        return out

    def forget(self, before_ns: int) -> None:
        """Nothing from before ``before_ns`` will be read again."""
        before = ns_to_samples(before_ns, self.rate)
        while self._parts and self._parts[0][0] + len(self._parts[0][1]) < before:
            self._parts.popleft()


class PulledVoice(TimedAudio):
    """An open pulled voice, read by time. Used by one thread. Time 0 is the file's, sample 0 the one nearest to it."""

    def __init__(self, source: VoiceSource, rate: int, channels: int) -> None:
        super().__init__(rate, channels)
        self._source = source
        self._over = False

    def read(self, start_ns: int, count: int) -> Samples:
        """Pulled as far as that, where there is so much."""
        self._pull(ns_to_samples(start_ns, self.rate) + count)
        return super().read(start_ns, count)

    def goes_on(self, at_ns: int) -> bool:
        """There is sound at ``at_ns`` or later."""
        at = ns_to_samples(at_ns, self.rate)
        self._pull(at + 1)
        return self._end is not None and self._end > at

    def pass_over(self, until_ns: int) -> None:
        """Pulled as far as that, and nothing of it kept: nothing from before ``until_ns`` will be read again."""
        until = ns_to_samples(until_ns, self.rate)
        while not self._over and (end := self._end or 0) < until:
            self._pull(min(end + self.rate, until))
            self.forget(until_ns)

    @property
    def end_ns(self) -> int:
        """Up to where it was pulled; the end of the sound once that is over."""
        return samples_to_ns(self._end or 0, self.rate)

    def _pull(self, until: int) -> None:
        while not self._over and (self._end is None or self._end < until):
            try:
                self._append(self._source.read())
            except EndOfStream:
                self._over = True

    def _append(self, block: AudioBlock) -> None:
        start = ns_to_samples(block.pts_ns, self.rate) if self._end is None else self._end
        self._parts.append((start, cleaned(block.samples)))
        self._end = start + len(block.samples)
