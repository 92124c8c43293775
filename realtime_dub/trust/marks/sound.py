"""Puts the mark into a voice as it comes, in blocks of any length, without holding anything back.

Each band of the noise is so far below the voice in the same band that the voice hides it, and follows it each 10 ms
(spread spectrum under the voice: Boney, Tewfik and Hamdy 1996; Kirovski and Malvar 2003). Where there is no voice
there is no mark.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt

from realtime_dub.media import AudioBlock, Samples, ns_to_samples
from realtime_dub.trust.marks import noise
from realtime_dub.trust.marks.payload import Payload
from realtime_dub.trust.marks.waves import KEY

BELOW_DB = (-21.0, -18.0, -14.0, -12.0)  # of each band, to the voice in the same band and moment
MOST_DB = -36.8  # of all of it, to the voice as loud as it was of late
HOPS_PER_SECOND = 100
_LATE = 0.01  # which part of that a hop is

Floats = npt.NDArray[np.float32]


class SoundMarker:
    """Marks one voice of ``rate`` with ``payload``. What it adds depends on no sample that comes later."""

    def __init__(self, payload: Payload, rate: int, key: str = KEY) -> None:
        self._hop = max(1, rate // HOPS_PER_SECOND)
        bands = noise.bands(payload, rate, key)
        self._repeats = bands.shape[1]
        self._bands = np.concatenate([bands, bands[:, : self._hop]], 1)  # a hop may begin anywhere
        self._shape = np.hanning(2 * self._hop).astype(np.float32)
        self._of_bands = np.ascontiguousarray(_of_bands(2 * self._hop, rate).T, np.float64)  # (bins, bands)
        self._ramp = np.arange(self._hop, dtype=np.float32) / self._hop
        self._at: int | None = None  # the sample that comes next
        self._heard = np.zeros(0, np.float32)  # the last two hops and the one that has begun
        self._gains = np.zeros((2, len(bands)), np.float32)  # where this hop begins, where it ends
        self._steps = self._gains.copy()  # where this hop begins, how far it goes
        self._loud = 0.0

    def block(self, block: AudioBlock) -> AudioBlock:
        """A marked copy. Where it does not follow the last one, the mark begins anew."""
        first = ns_to_samples(block.pts_ns, block.rate)
        if self._at is None or abs(first - self._at) > 1:
            self._begin(first)
        return AudioBlock(self._marked(block.samples), block.rate, block.pts_ns, block.gap)

    def _begin(self, first: int) -> None:
        self._at = first
        self._heard = np.zeros(2 * self._hop + first % self._hop, np.float32)
        self._gains[:] = self._steps[:] = 0
        self._loud = 0.0

    def _marked(self, samples: Samples) -> Samples:
        assert self._at is not None
        hop, out = self._hop, samples.copy()
        voice = samples[:, 0] if samples.shape[1] == 1 else samples.mean(1)
        heard, before = np.concatenate([self._heard, voice]), len(self._heard)
        first = -self._at % hop  # of the samples, where a hop begins
        turns = [at for at in range(first, len(samples), hop) if before + at >= 3 * hop]
        allowed = iter(self._allowed([heard[before + at - 2 * hop : before + at] for at in turns]))
        for begin, end in pairwise([0, *range(first or hop, len(samples), hop), len(samples)]):
            if begin in turns:
                self._turn(next(allowed))
            if end > begin:
                out[begin:end] += self._noise(self._at, self._at % hop, end - begin)[:, None]
                self._at += end - begin
        kept = before + turns[-1] - 2 * hop if turns else 0
        self._heard = heard[kept:]
        return out

    def _turn(self, allowed: Floats) -> None:
        """A hop is over: the next one goes to what the voice in it allows."""
        self._gains[0], self._gains[1] = self._gains[1], allowed
        self._steps[0], self._steps[1] = self._gains[0], self._gains[1] - self._gains[0]

    def _allowed(self, heard: list[Floats]) -> list[Floats]:
        """Each band's amplitude (bands,) after each of the hops that have ended, of which two were ``heard``.

        All of a block's at once: NumPy's calls take longer than what they are asked for.
        """
        if not heard:
            return []
        power: npt.NDArray[np.float64] = np.abs(np.fft.rfft(np.stack(heard) * self._shape)).astype(np.float64) ** 2
        # Hann's window leaves 3/8 of the power, each side of the spectrum a half.
        power *= 2 / (0.375 * (2 * self._hop) ** 2)
        wanted, sums = power @ self._of_bands, power.sum(1)
        most = np.empty(len(heard))
        for hop, total in enumerate(sums.tolist()):
            self._loud += _LATE * (total - self._loud)
            most[hop] = 10 ** (MOST_DB / 10) * self._loud
        share = np.minimum(1.0, most / np.maximum(wanted.sum(1), 1e-20))
        return list(np.sqrt(wanted * share[:, None]).astype(np.float32))

    def _noise(self, at: int, within: int, count: int) -> Floats:
        first = at % self._repeats
        there, more = self._steps @ self._bands[:, first : first + count]
        return np.asarray(there + self._ramp[within : within + count] * more, np.float32)


def _of_bands(size: int, rate: int) -> Floats:
    """(bands, bins): how much of the power at each frequency a band's noise may have."""
    hertz = np.fft.rfftfreq(size, 1 / rate)
    lows, highs = np.array(noise.BORDERS[:-1]), np.array(noise.BORDERS[1:])
    inside = (hertz >= lows[:, None]) & (hertz < highs[:, None])
    return np.asarray(inside * 10 ** (np.array(BELOW_DB)[:, None] / 10), np.float32)
