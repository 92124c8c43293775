"""How loud speech is: the K-weighted mean square of ITU-R BS.1770-4, of short blocks, by their spectrum.

A block's spectrum times the power response of the weighting is what the two filters of the recommendation would let
through, but for what they carry over from block to block: over a second of speech 0.3 dB at most (its tests say).
"""

from __future__ import annotations

from collections import deque

import numpy as np

from realtime_dub.media import Floats, Samples

OFFSET_LU = -0.691  # of the recommendation: a sine of 997 Hz at full scale has -3.01 LUFS
SILENT = 1e-12
# Second-order sections at 48 kHz, as the recommendation gives them: the head's shelf, then the low cut (b, a).
SECTIONS = (
    ((1.53512485958697, -2.69169618940638, 1.19839281085285), (1.0, -1.69065929318241, 0.73248077421585)),
    ((1.0, -2.0, 1.0), (1.0, -1.99004745483398, 0.99007225036621)),
)
RATE = 48_000


def weights(count: int) -> Floats:
    """(count // 2 + 1,): what each line of the spectrum of ``count`` samples adds to their mean square."""
    turns = np.exp(-2j * np.pi * np.fft.rfftfreq(count))
    response = np.ones(len(turns))
    for above, below in SECTIONS:
        response *= np.abs(np.polyval(above[::-1], turns) / np.polyval(below[::-1], turns)) ** 2
    twice = np.full(len(turns), 2.0)
    twice[0] = 1.0
    if count % 2 == 0:
        twice[-1] = 1.0
    return np.asarray(response * twice / count**2, np.float64)


def lufs(power: float) -> float:
    """Of a weighted mean square."""
    return float(OFFSET_LU + 10 * np.log10(max(power, SILENT)))


class BlockPower:
    """The weighted mean square of blocks of ``count`` samples at 48 kHz."""

    def __init__(self, count: int) -> None:
        self._weights = weights(count)

    def __call__(self, samples: Samples) -> float:
        """(count,) or (count, 1)."""
        lines = np.fft.rfft(samples.ravel())
        return float(np.dot(lines.real**2 + lines.imag**2, self._weights))


class ShortTerm:
    """The loudness of the last blocks in which somebody spoke: three seconds, as EBU Tech 3341 has it, but gated."""

    def __init__(self, blocks: int, gate_lufs: float) -> None:
        self._gate = 10 ** ((gate_lufs - OFFSET_LU) / 10)
        self._powers: deque[float] = deque(maxlen=blocks)
        self._sum = 0.0

    def add(self, power: float) -> None:
        if power < self._gate:
            return
        if len(self._powers) == self._powers.maxlen:
            self._sum -= self._powers[0]
        self._powers.append(power)
        self._sum += power

    def lufs(self, least: int) -> float | None:
        """None before ``least`` blocks were heard."""
        return lufs(self._sum / len(self._powers)) if len(self._powers) >= least else None
