"""The waves of a mark: of each its phase, by the key; some to find it by, the others carry the coded bits.

Spread spectrum (Cox, Kilian, Leighton and Shamoon 1997) with phases alone, found by correlation in the Fourier domain
(Kalker, Depovere, Haitsma and Maes 1999).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from realtime_dub.trust.marks.odds import codeword_threshold
from realtime_dub.trust.marks.payload import CODED, SIZE, Payload, Soft, decode, encode

KEY = "realtime-dub"  # known to all: whoever wants to may look for marks
Complexes = npt.NDArray[np.complex128]


@dataclass(frozen=True, eq=False)
class Waves:
    """``finding`` (n,) complex of length 1; 0 where a wave carries a bit, whose ``carrying`` (n,) is its phase for a
    0, 0 elsewhere; ``bit`` (n,) says which one, -1 elsewhere.
    """

    finding: Complexes
    carrying: Complexes
    bit: npt.NDArray[np.int64]

    @classmethod
    def of(cls, count: int, what: str, key: str = KEY, carriers: float = 1 / 4) -> Waves:
        """``carriers``: which part of ``count`` carries the bits."""
        seed = int.from_bytes(hashlib.sha256(f"{key}/{what}".encode()).digest()[:16], "big")
        random = np.random.Generator(np.random.PCG64(seed))
        phases = np.exp(2j * np.pi * random.random(count))
        bit = np.full(count, -1, np.int64)
        chosen = random.permutation(count)[: round(count * carriers)]
        bit[chosen] = np.arange(len(chosen)) % CODED
        return cls(np.where(bit < 0, phases, 0), np.where(bit < 0, 0, phases), bit)

    def carry(self, payload: Payload) -> Complexes:
        """(n,) the phases of a mark that says ``payload``."""
        signs = 1.0 - 2.0 * encode(payload)
        return np.asarray(self.finding + self.carrying * np.where(self.bit < 0, 0.0, signs[self.bit]), np.complex128)

    def soft(self, phases: Complexes) -> Soft:
        """(CODED,) what the bits look like in the ``phases`` (n,) of a mark whose place is known."""
        carried = self.bit >= 0
        like = (phases * np.conj(self.carrying)).real[carried]
        return np.asarray(np.bincount(self.bit[carried], like, CODED), np.float64)

    def read(self, phases: Complexes) -> Payload | None:
        """What ``phases`` say, one look's or the sum of several; None where that is not sure."""
        payload = decode(self.soft(phases))
        strength = np.sqrt((np.abs(phases[self.bit >= 0]) ** 2).sum() / 2)
        z = float(self.soft(phases) @ (1.0 - 2.0 * encode(payload))) / max(strength, 1e-9)
        return payload if z >= codeword_threshold(SIZE) else None
