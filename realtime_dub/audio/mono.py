"""Many channels to one, without losing a voice that only some of them carry.

The plain mean cancels a voice that two channels carry with opposite signs, and halves one that a single channel
carries. Here channels that are silent beside the loudest are left out, and one that is the mirror of the others is
turned over; all else is the plain mean. What counts is the energy of the last half second of sound, in which hum and
offsets weigh little, so that a pause changes nothing and the first syllable decides.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from realtime_dub.media import Floats, Samples

HOPS_PER_S = 100  # decisions
MEMORY_HOPS = 50.0
POINTS = 40  # of a hop, that are looked at
JOINS, LEAVES = 2e-3, 5e-4  # energy beside the loudest channel's: -27 and -33 dB
TURNS, RETURNS = -0.5, -0.2  # correlation with the others
NOTHING = 1e-12  # energy per point of digital silence

_Matrix = npt.NDArray[np.float64]


class MonoMixer:
    """One stream, block by block: (n, channels) to (n,). The result does not depend on how the stream is cut.

    Weights follow the hops that are over; they move along a ramp of one hop, never by a jump.
    """

    def __init__(self, rate: int) -> None:
        self._hop = max(1, rate // HOPS_PER_S)
        self._stride = max(1, self._hop // POINTS)  # samples of a point
        self._channels = 0  # until the first block

    def __call__(self, samples: Samples) -> Floats:
        """Another number of channels than before begins anew."""
        if samples.shape[1] != self._channels:
            self._begin(samples.shape[1])
        if self._channels == 1:
            return samples[:, 0]
        out = np.empty(len(samples), np.float32)
        done = 0
        while done < len(samples):
            count = min(self._hop - self._filled, len(samples) - done)
            self._part(samples[done : done + count], out[done : done + count])
            done += count
        return out

    def _begin(self, channels: int) -> None:
        self._channels = channels
        self._energy: _Matrix = np.zeros((channels, channels))
        self._held = np.zeros((self._hop, channels), np.float32)  # of the hop at hand
        self._filled = 0
        self._before = np.zeros((1, channels))  # the last point of the hop before
        self._active = np.ones(channels, np.bool_)
        self._turned = np.zeros(channels, np.bool_)
        self._from = self._to = np.full(channels, 1 / channels, np.float32)

    def _part(self, samples: Samples, out: Floats) -> None:
        """What lies in one hop."""
        end = self._filled + len(samples)
        self._held[self._filled : end] = samples
        np.matmul(samples, self._to, out=out)
        if self._from is not self._to:
            share = 1 - np.arange(self._filled, end, dtype=np.float32) / np.float32(self._hop)
            out += share * (samples @ (self._from - self._to))
        self._filled = end
        if end == self._hop:
            self._decide()
            self._filled = 0

    def _decide(self) -> None:
        """At the end of a hop: the weights at the end of the next."""
        changes = self._changes()
        self._energy *= 1 - 1 / MEMORY_HOPS
        self._energy += changes.T @ changes
        self._from = self._to
        loudness = self._energy.diagonal()
        if loudness.max() <= NOTHING * len(changes):
            return
        self._active = loudness > loudness.max() * np.where(self._active, LEAVES, JOINS)
        self._turn(np.sqrt(np.maximum(loudness, NOTHING)))
        weights = np.where(self._active, np.where(self._turned, -1, 1), 0) / self._active.sum()
        if not np.array_equal(weights.astype(np.float32), self._to):
            self._to = weights.astype(np.float32)

    def _changes(self) -> _Matrix:
        """From point to point of the hop: up to 2 kHz, where the voice is; little of hum, nothing of offsets."""
        whole = len(self._held) - len(self._held) % self._stride
        points = self._held[:whole].reshape(-1, self._stride, self._channels).mean(axis=1, dtype=np.float64)
        changes = np.diff(points, axis=0, prepend=self._before)
        self._before = points[-1:]
        return changes

    def _turn(self, level: _Matrix) -> None:
        """Each channel agrees with the one before it that it is most like, or is turned over."""
        likeness = self._energy / np.outer(level, level)
        heard = np.flatnonzero(self._active)
        for place, channel in enumerate(heard):
            like = likeness[channel, heard[:place]] * np.where(self._turned[heard[:place]], -1, 1)
            nearest = like[np.abs(like).argmax()] if place else 0.0
            self._turned[channel] = nearest < (RETURNS if self._turned[channel] else TURNS)
