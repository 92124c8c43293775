"""What a mark says: 40 bits, and the code that brings them through.

A linear code of 128 bits whose parities are drawn once and for all (random codes come near the Gilbert-Varshamov
bound), decoded softly by ordered statistics of order 2 (Fossorier and Lin 1995).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Bits = npt.NDArray[np.uint8]
Soft = npt.NDArray[np.float64]

VERSION = 1
OURS = 0x2D8  # the issuer where nobody says another one
VERSION_BITS, ISSUER_BITS, SERIAL_BITS = 4, 12, 24
SIZE, CODED = VERSION_BITS + ISSUER_BITS + SERIAL_BITS, 128
_ORDER = 2


@dataclass(frozen=True, slots=True)
class Payload:
    """``issuer`` 0..4095: whose program marked it. ``serial`` 0..2^24-1: which run, as the log and the file say."""

    serial: int
    issuer: int = OURS
    version: int = VERSION

    def __str__(self) -> str:
        return f"version {self.version}, issuer {self.issuer}, serial {self.serial}"

    def bits(self) -> Bits:
        """(SIZE,), the highest first."""
        number = (self.version << ISSUER_BITS | self.issuer) << SERIAL_BITS | self.serial
        return np.array([number >> place & 1 for place in range(SIZE - 1, -1, -1)], np.uint8)

    @classmethod
    def of(cls, bits: Bits) -> Payload:
        number = int("".join(map(str, bits)), 2)
        rest, serial = divmod(number, 1 << SERIAL_BITS)
        version, issuer = divmod(rest, 1 << ISSUER_BITS)
        return cls(serial, issuer, version)


def _generator() -> Bits:
    parity = np.random.Generator(np.random.PCG64(20260829)).integers(0, 2, (SIZE, CODED - SIZE), np.uint8)
    return np.concatenate([np.eye(SIZE, dtype=np.uint8), parity], 1)


_GENERATOR = _generator()


def encode(payload: Payload) -> Bits:
    """(CODED,)"""
    return np.asarray(payload.bits() @ _GENERATOR % 2, np.uint8)


def decode(soft: Soft) -> Payload:
    """The likeliest payload. ``soft`` (CODED,): above 0 for a 0, the surer the larger."""
    reduced, base = _reliable_form(soft)
    hard = (soft[base] < 0).astype(np.uint8)
    best, found = -np.inf, hard
    for flips in _flips():
        word = hard.copy()
        word[list(flips)] ^= 1
        coded = np.asarray(word @ reduced % 2, np.uint8)
        score = float(soft @ (1.0 - 2.0 * coded))
        if score > best:
            best, found = score, coded
    return Payload.of(np.asarray(found[:SIZE], np.uint8))


def _flips() -> itertools.chain[tuple[int, ...]]:
    return itertools.chain.from_iterable(itertools.combinations(range(SIZE), n) for n in range(_ORDER + 1))


def _reliable_form(soft: Soft) -> tuple[Bits, list[int]]:
    """The generator with an identity in its surest independent columns, and which these are."""
    rows = _GENERATOR.copy()
    base: list[int] = []
    for column in np.argsort(-np.abs(soft), kind="stable"):
        done = len(base)
        pivots = np.flatnonzero(rows[done:, column])
        if not len(pivots):
            continue
        first = done + pivots[0]
        rows[[done, first]] = rows[[first, done]]
        others = np.flatnonzero(rows[:, column])
        rows[others[others != done]] ^= rows[done]
        base.append(int(column))
        if len(base) == SIZE:
            break
    return rows, base
