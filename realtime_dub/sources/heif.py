"""Where the one picture lies that a HEIF file (HEIC, AVIF) is about: ISO/IEC 23008-12, as far as cameras use it.

FFmpeg decodes the coded parts, but telephones store a picture as tiles, and FFmpeg gives each as a stream of its own.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from realtime_dub.fitting import Size
from realtime_dub.media import Image

Boxes = dict[bytes, bytes]
HEADER = 8
PROFILES = (b"prof", b"rICC")


@dataclass(frozen=True, slots=True)
class Item:
    """The picture: the numbers of its tiles by rows, and what is done to it when they are put together.

    A picture of one part has one tile, no columns, and no turns: FFmpeg knows these.
    """

    tiles: tuple[int, ...]
    size: Size  # as declared
    columns: int = 1
    turns: tuple[tuple[bytes, int], ...] = field(default=())
    profile: bytes | None = None  # of the colours (ICC)

    def assembled(self, parts: list[Image]) -> Image:
        """Raises ValueError for tiles that do not go together."""
        if len(self.tiles) == 1 and not self.turns:
            return parts[0]
        rows = [np.hstack(parts[at : at + self.columns]) for at in range(0, len(parts), self.columns)]
        image = np.vstack(rows)[: self.size[1], : self.size[0]]
        for kind, how in self.turns:
            image = np.rot90(image, how & 3) if kind == b"irot" else np.flip(image, how & 1)
        return np.ascontiguousarray(image)


def find_item(data: bytes) -> Item | None:
    """None where the file names no picture. Raises struct.error, LookupError or ValueError for one that is damaged."""
    meta = dict(_boxes(dict(_boxes(data)).get(b"meta", b"")[4:]))
    if b"pitm" not in meta or b"iprp" not in meta:
        return None
    number = _numbers(meta[b"pitm"], 4, wide=meta[b"pitm"][0] > 0)[0]
    properties = _properties(meta[b"iprp"], number)
    size: Size = struct.unpack(">II", dict(properties)[b"ispe"][4:12])
    profile = next((body[4:] for kind, body in properties if kind == b"colr" and body[:4] in PROFILES), None)
    if _kind(meta[b"iinf"], number) != b"grid":
        return Item((number,), size, profile=profile)
    grid = _content(data, meta, number)
    size = struct.unpack(">II" if grid[1] & 1 else ">HH", grid[4 : 12 if grid[1] & 1 else 8])
    turns = tuple((kind, body[0]) for kind, body in properties if kind in (b"irot", b"imir"))
    return Item(_parts(meta[b"iref"], number), size, grid[3] + 1, turns, profile)


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at + HEADER <= len(data):
        length, kind = struct.unpack(">I4s", data[at : at + HEADER])
        start = HEADER
        if length == 1:
            length, start = struct.unpack(">Q", data[at + HEADER : at + 16])[0], 16
        length = length or len(data) - at
        if length < start:
            raise ValueError("a box shorter than its head")
        yield kind, data[at + start : at + length]
        at += length


def _numbers(body: bytes, at: int, count: int = 1, *, wide: bool) -> tuple[int, ...]:
    return struct.unpack(f">{count}{'I' if wide else 'H'}", body[at : at + count * (4 if wide else 2)])


def _kind(iinf: bytes, number: int) -> bytes:
    entries = iinf[6 if iinf[0] == 0 else 8 :]
    for _, body in _boxes(entries):
        wide = body[0] > 2
        if _numbers(body, 4, wide=wide)[0] == number:
            at = 10 if wide else 8
            return body[at : at + 4]
    raise LookupError("an item without a kind")


def _properties(iprp: bytes, number: int) -> list[tuple[bytes, bytes]]:
    """Of an item, in the order in which they apply."""
    inner = dict(_boxes(iprp))
    known, ipma = list(_boxes(inner[b"ipco"])), inner[b"ipma"]
    at, count = 8, int.from_bytes(ipma[4:8], "big")
    for _ in range(count):
        owner = _numbers(ipma, at, wide=ipma[0] > 0)[0]
        at += 4 if ipma[0] > 0 else 2
        length, width, at = ipma[at], 2 if ipma[3] & 1 else 1, at + 1
        if owner == number:
            found = [int.from_bytes(ipma[k : k + width], "big") for k in range(at, at + length * width, width)]
            return [known[index - 1] for each in found if (index := each & (0x7FFF if width == 2 else 0x7F))]
        at += length * width
    raise LookupError("an item without properties")


def _parts(iref: bytes, number: int) -> tuple[int, ...]:
    """The tiles that an item is put together of."""
    wide = iref[0] > 0
    for kind, body in _boxes(iref[4:]):
        if kind == b"dimg" and _numbers(body, 0, wide=wide)[0] == number:
            at = 4 if wide else 2
            return _numbers(body, at + 2, _numbers(body, at, wide=False)[0], wide=wide)
    raise LookupError("a grid without tiles")


def _content(data: bytes, meta: Boxes, number: int) -> bytes:
    """The bytes of an item that is in one piece."""
    iloc = meta[b"iloc"]
    version, sizes = iloc[0], (iloc[4] >> 4, iloc[4] & 15, iloc[5] >> 4, iloc[5] & 15 if iloc[0] else 0)
    wide = version > 1
    at = 10 if wide else 8
    for _ in range(_numbers(iloc, 6, wide=wide)[0]):
        owner = _numbers(iloc, at, wide=wide)[0]
        at += 4 if wide else 2
        method = iloc[at + 1] & 15 if version else 0
        at += 4 if version else 2
        base, at = int.from_bytes(iloc[at : at + sizes[2]], "big"), at + sizes[2]
        extents, at = _numbers(iloc, at, wide=False)[0], at + 2
        if owner == number:
            at += sizes[3]
            start = base + int.from_bytes(iloc[at : at + sizes[0]], "big")
            length = int.from_bytes(iloc[at + sizes[0] : at + sizes[0] + sizes[1]], "big")
            return (meta[b"idat"] if method == 1 else data)[start : start + length]
        at += extents * (sizes[3] + sizes[0] + sizes[1])
    raise LookupError("an item without a place")
