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
LOUDEST = 1.0  # a crack beyond full scale would decide for seconds
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
            self._from, self._filled = self._to, 0
            self._listen()
            if self._decide():
                weights = np.where(self._active, np.where(self._turned, -1, 1), 0) / self._active.sum()
                self._to = weights.astype(np.float32)

    def _listen(self) -> None:
        """The energy of changes from point to point: up to 2 kHz, where the voice is; little hum, no offset."""
        whole = len(self._held) - len(self._held) % self._stride
        held = np.clip(self._held[:whole], -LOUDEST, LOUDEST).reshape(-1, self._stride, self._channels)
        points = np.add.reduce(held, axis=1)
        changes = points[1:] - points[:-1]
        self._energy *= 1 - 1 / MEMORY_HOPS
        self._energy += changes.T @ changes

    def _decide(self) -> bool:
        """At the end of a hop: which channels count in the next, and how. True where that has changed."""
        loudness = self._energy.diagonal()
        loudest = float(loudness.max())
        if loudest <= NOTHING * self._hop:
            return False
        active = loudness > np.where(self._active, LEAVES * loudest, JOINS * loudest)
        turned = self._turned if self._agree() else self._turn(active)
        changed = not (np.array_equal(active, self._active) and np.array_equal(turned, self._turned))
        self._active, self._turned = active, turned
        return changed

    def _agree(self) -> bool:
        """Nothing is turned over, and nobody is against anybody: nearly always."""
        return self._energy.min() >= 0 and not self._turned.any()

    def _turn(self, active: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        """Each channel agrees with the one before it that it is most like, or is turned over."""
        level = np.sqrt(np.maximum(self._energy.diagonal(), NOTHING))
        likeness = self._energy / np.outer(level, level)
        turned, heard = self._turned.copy(), np.flatnonzero(active)
        for place, channel in enumerate(heard):
            like = likeness[channel, heard[:place]] * np.where(turned[heard[:place]], -1, 1)
            nearest = like[np.abs(like).argmax()] if place else 0.0
            turned[channel] = nearest < (RETURNS if self._turned[channel] else TURNS)
        return turned
