"""Puts the mark into a voice as it comes, in blocks of any length, without holding anything back.

Each band of the noise is so far below the voice in the same band that the voice hides it, and follows it each 10 ms
(spread spectrum under the voice: Boney, Tewfik and Hamdy 1996; Kirovski and Malvar 2003). Where there is no voice
there is no mark.
"""

from __future__ import annotations

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
        self._of_bands = _of_bands(2 * self._hop, rate)
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
        out = samples.copy()
        done = 0
        while done < len(samples):
            assert self._at is not None
            within = self._at % self._hop
            if within == 0 and len(self._heard) >= 3 * self._hop:
                self._turn()
            count = min(self._hop - within, len(samples) - done)
            out[done : done + count] += self._noise(self._at, within, count)[:, None]
            part = samples[done : done + count]
            self._heard = np.concatenate([self._heard, part[:, 0] if part.shape[1] == 1 else part.mean(1)])
            self._at += count
            done += count
        return out

    def _turn(self) -> None:
        """A hop is over: the next one goes to what the voice in it allows."""
        self._heard = self._heard[-2 * self._hop :]
        self._gains[0], self._gains[1] = self._gains[1], self._allowed(self._heard)
        self._steps[0], self._steps[1] = self._gains[0], self._gains[1] - self._gains[0]

    def _allowed(self, heard: Floats) -> Floats:
        power: npt.NDArray[np.float64] = np.abs(np.fft.rfft(heard * self._shape)).astype(np.float64) ** 2
        # Hann's window leaves 3/8 of the power, each side of the spectrum a half.
        power = power * (2 / (0.375 * len(heard) ** 2))
        wanted = self._of_bands @ power
        self._loud += _LATE * (float(power.sum()) - self._loud)
        most = 10 ** (MOST_DB / 10) * self._loud
        return np.asarray(np.sqrt(wanted * min(1.0, most / max(float(wanted.sum()), 1e-20))), np.float32)

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
