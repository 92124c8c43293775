"""What is in a file by its content: one picture, a film, or pictures that move. Names say what they like."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Literal

Content = Literal["still", "film", "animation"]  # an animation is several pictures that FFmpeg does not decode
HEAD_BYTES = 512
LOOKED_AT = 32 << 20  # of a file that may hold one picture or several
PNG, JPEG, GIF = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", (b"GIF87a", b"GIF89a")
STILLS = (
    *(
        b"BM",
        b"II*\0",
        b"MM\0*",
        b"II+\0",
        b"MM\0+",
        b"\0\0\0\x0cjP  ",
        b"\xff\x4f\xff\x51",
        b"8BPS",
        b"qoif",
        b"v/1\1",
    ),
    *(b"\0\0\1\0", b"\0\0\0\x0cJXL ", b"\xff\x0a", b"#?RADIANCE", b"<svg", b"DDS ", b"Y\xa6j\x95"),
    *(b"\1\xda%c%c" % (packed, depth) for packed in (0, 1) for depth in (1, 2)),  # SGI
    *(b"\n%c\1%c" % (version, bits) for version in (0, 2, 3, 4, 5) for bits in (1, 2, 4, 8)),  # PCX
    *(b"P%d%c" % (number, space) for number in range(1, 8) for space in b"\n\r\t "),
)
FILMS = (b"\x1aE\xdf\xa3", b"OggS", b"FLV\1", b"\0\0\1\xba", b"\0\0\1\xb3", b"0&\xb2u\x8ef\xcf\x11", b"YUV4MPEG2 ")
STILL_BRANDS = {b"avif", b"heic", b"heix", b"heim", b"heis", b"mif1", b"mif2", b"avci"}
SEQUENCE_BRANDS = {b"msf1", b"hevc", b"hevx"}
QUICKTIME_BOXES = (b"moov", b"mdat", b"free", b"wide", b"skip", b"pnot")
PACKET = 188  # bytes of a transport stream's


def content_of(path: str | Path) -> Content | None:
    """None where it cannot be told, and for what is no plain file."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return None
        with open(path, "rb") as file:
            head = file.read(HEAD_BYTES)
            counts = _counter(head)
            return _of_head(head) if counts is None else counts(head + file.read(LOOKED_AT))
    except (OSError, ValueError):
        return None


def brands(head: bytes) -> tuple[bytes, ...]:
    """The brands that an ISO file (mp4, HEIF, AVIF) claims, the main one first; none of any other."""
    if head[4:8] != b"ftyp":
        return ()
    end = min(int.from_bytes(head[:4], "big"), len(head))
    return head[8:12], *(head[at : at + 4] for at in range(16, end - 3, 4))


def _of_head(head: bytes) -> Content | None:
    if claimed := brands(head):
        if b"avis" in claimed:
            return "animation"
        return "still" if STILL_BRANDS & set(claimed) and claimed[0] not in SEQUENCE_BRANDS else "film"
    if head.startswith(STILLS):
        return "still"
    is_avi = head[:4] == b"RIFF" and head[8:12] == b"AVI "
    is_transport = head[:1] == head[PACKET : PACKET + 1] == head[2 * PACKET : 2 * PACKET + 1] == b"G"
    return "film" if head.startswith(FILMS) or head[4:8] in QUICKTIME_BOXES or is_avi or is_transport else None


def _counter(head: bytes) -> Callable[[bytes], Content] | None:
    """How to tell one picture from several, for formats that hold both."""
    if head.startswith(JPEG):
        return _jpegs
    if head.startswith(PNG):
        return _pngs
    if head.startswith(GIF):
        return _gifs
    return _webps if head[:4] == b"RIFF" and head[8:12] == b"WEBP" else None


def _jpegs(data: bytes) -> Content:
    """Pictures of one size, one behind the other, are a film (MJPEG). Telephones put others of their own behind one."""
    first, end = _jpeg_size_and_end(data, 0)
    second, _ = _jpeg_size_and_end(data, end)
    return "film" if first is not None and first == second and b"MPF\0" not in data[:end] else "still"


def _jpeg_size_and_end(data: bytes, at: int) -> tuple[bytes | None, int]:
    """Height and width as coded, and where the picture that begins at ``at`` ends."""
    size = None
    if data[at : at + 3] != JPEG:
        return None, at
    at += 2
    while data[at : at + 1] == b"\xff" and at + 4 <= len(data):
        kind, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if 0xC0 <= kind <= 0xCF and kind not in (0xC4, 0xC8, 0xCC):
            size = data[at + 5 : at + 9]
        at += 2 + length
        if kind == 0xDA:
            break
    end = data.find(b"\xff\xd9", at)
    return size, len(data) if end < 0 else end + 2


def _pngs(data: bytes) -> Content:
    at = len(PNG)
    while (kind := data[at + 4 : at + 8]) not in (b"IDAT", b"IEND", b""):
        if kind == b"acTL":
            return "film" if int.from_bytes(data[at + 8 : at + 12], "big") > 1 else "still"
        at += 12 + int.from_bytes(data[at : at + 4], "big")
    return "still"


def _gifs(data: bytes) -> Content:
    at = 13 + _table_bytes(data, 10)
    pictures = 0
    while pictures < 2 and (kind := data[at : at + 1]) in (b"!", b","):
        if kind == b",":
            pictures += 1
            at += 11 + _table_bytes(data, at + 9)
        else:
            at += 2
        while length := int.from_bytes(data[at : at + 1], "big"):
            at += 1 + length
        at += 1
    return "film" if pictures > 1 else "still"


def _table_bytes(data: bytes, at: int) -> int:
    """Of the colour table that the flags at ``at`` tell of."""
    flags = int.from_bytes(data[at : at + 1], "big")
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _webps(data: bytes) -> Content:
    at, pictures = 12, 0
    while pictures < 2 and (kind := data[at : at + 4]):
        pictures += kind == b"ANMF"
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        at += 8 + length + length % 2
    return "animation" if pictures > 1 else "still"
