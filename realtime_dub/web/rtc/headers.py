"""What a coded frame says of itself, read before a decoder allocates for it: VP8 (RFC 6386), H.264 (ITU-T H.264).

A decoder believes the size in a header: a key frame of VP8 of a kilobyte can ask for 1.6 GB. H.264 says it in the
sequence parameter set, and how many frames its decoder has to keep besides.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from realtime_dub.web.limits import LEAST_SIDE, MOST_CODED_PIXELS, MOST_HELD_PIXELS, MOST_SIDE

_START = re.compile(b"\x00\x00\x01")
_IDR, _SPS = 5, 7
_HIGH_PROFILES = frozenset({44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 144, 244})
_LONGEST_SPS = 512  # bytes; with every scaling list written out it has about 400


@dataclass(frozen=True)
class Declared:
    """``held``: frames that a decoder keeps for reference."""

    width: int
    height: int
    held: int = 4

    @property
    def usable(self) -> bool:
        pixels = self.width * self.height
        fits = pixels <= MOST_CODED_PIXELS and pixels * self.held <= MOST_HELD_PIXELS
        return fits and LEAST_SIDE <= min(self.width, self.height) <= max(self.width, self.height) <= MOST_SIDE


@dataclass(frozen=True)
class Header:
    """``whole``: it needs no frame before it. ``sizes``: all that it says, none where it goes on with the last."""

    whole: bool
    sizes: tuple[Declared, ...] = ()


def read(codec: str, data: bytes) -> Header:
    """``codec`` as in a session description. Raises ValueError where it cannot be read."""
    return _vp8(data) if codec.upper() == "VP8" else _h264(data)


def _vp8(data: bytes) -> Header:
    if not data or data[0] & 1:
        return Header(whole=False)
    if len(data) < 10 or data[3:6] != b"\x9d\x01\x2a":
        raise ValueError("a key frame of VP8 without its start")
    width, height = ((data[at] | data[at + 1] << 8) & 0x3FFF for at in (6, 8))
    return Header(True, (Declared(width, height),))


def _h264(data: bytes) -> Header:
    """All units, wherever they begin: a fragment may hide a start code."""
    units = [found.end() for found in _START.finditer(data)]
    kinds = [(at, data[at] & 0x1F) for at in units if at < len(data)]
    sizes = tuple(_sps(data[at + 1 : at + 1 + _LONGEST_SPS]) for at, kind in kinds if kind == _SPS)
    return Header(any(kind in (_IDR, _SPS) for _, kind in kinds), sizes)


class _Bits:
    """Of a unit's payload, most significant first. Raises ValueError at its end."""

    def __init__(self, unit: bytes) -> None:
        raw = unit.replace(b"\x00\x00\x03", b"\x00\x00")  # written so that no start code comes about
        self._bits, self._left = int.from_bytes(raw, "big"), len(raw) * 8

    def read(self, count: int) -> int:
        self._left -= count
        if self._left < 0:
            raise ValueError("a parameter set that is cut off")
        return self._bits >> self._left & ((1 << count) - 1)

    def ue(self) -> int:
        """An unsigned number of Exp-Golomb."""
        zeros = 0
        while not self.read(1):
            zeros += 1
            if zeros > 31:
                raise ValueError("a number that is too long")
        return (1 << zeros) - 1 + self.read(zeros)

    def se(self) -> int:
        """A signed one."""
        value = self.ue()
        return (value + 1) // 2 if value & 1 else -(value // 2)


def _sps(unit: bytes) -> Declared:
    """Clause 7.3.2.1.1, up to the size: in macroblocks, as it is allocated, without cropping."""
    bits = _Bits(unit)
    profile = bits.read(8)
    bits.read(16)
    bits.ue()
    if profile in _HIGH_PROFILES:
        _high(bits)
    bits.ue()
    _order(bits)
    held = bits.ue()
    bits.read(1)
    width, height = (bits.ue() + 1) * 16, (bits.ue() + 1) * 16
    return Declared(width, height * (1 if bits.read(1) else 2), held)


def _high(bits: _Bits) -> None:
    if bits.ue() != 1 or bits.ue() or bits.ue():
        raise ValueError("colours that no browser sends")  # several times the memory: only 4:2:0 of 8 bits is taken
    bits.read(1)
    if bits.read(1):
        for number in range(8):
            if bits.read(1):
                _scaling_list(bits, 16 if number < 6 else 64)


def _scaling_list(bits: _Bits, count: int) -> None:
    last = following = 8
    for _ in range(count):
        if following:
            following = (last + bits.se()) % 256
        last = following or last


def _order(bits: _Bits) -> None:
    """How frames are counted."""
    kind = bits.ue()
    if kind == 0:
        bits.ue()
    elif kind == 1:
        bits.read(1)
        bits.se()
        bits.se()
        for _ in range(min(bits.ue(), 256)):
            bits.se()
