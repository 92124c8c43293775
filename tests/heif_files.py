"""HEIC files as telephones write them: one coded picture, or tiles of one. Enough of ISO/IEC 23008-12 for both."""

from __future__ import annotations

import io
import struct
from fractions import Fraction
from itertools import count

import av

from realtime_dub.media import Image


def heic(
    tiles: list[Image],
    *,
    grid: tuple[int, int] | None = None,
    size: tuple[int, int] | None = None,
    turns: tuple[tuple[bytes, int], ...] = (),
    profile: bytes = b"",
) -> bytes:
    """``tiles`` of one size; ``grid`` rows and columns, cut to ``size`` (width, height); ``turns`` irot and imir.

    ``profile`` is an ICC profile.
    """
    coded = [_hevc(tile) for tile in tiles]
    height, width = tiles[0].shape[:2]
    whole = len(tiles) + 1 if grid else 1
    properties = [coded[0][0], _full(b"ispe", 0, struct.pack(">II", width, height))]
    properties += [_box(kind, bytes([how])) for kind, how in turns]
    properties += [_box(b"colr", b"prof", profile)] if profile else []
    turned = list(range(3, 1 + len(properties)))
    owned = {number: [1, 2] for number in range(1, len(tiles) + 1)}
    if grid is not None and size is not None:
        properties.append(_full(b"ispe", 0, struct.pack(">II", *size)))
        owned[whole] = [len(properties)]
    owned[whole] = owned[whole] + turned
    layout = struct.pack(">BBBBHH", 0, 0, grid[0] - 1, grid[1] - 1, *size) if grid and size else b""

    def meta(media_at: int) -> bytes:
        return _full(
            b"meta",
            0,
            _full(b"hdlr", 0, bytes(4), b"pict", bytes(13)),
            _full(b"pitm", 0, struct.pack(">H", whole)),
            _infos(len(tiles), layout),
            _full(b"iref", 0, _box(b"dimg", struct.pack(f">{2 + len(tiles)}H", whole, len(tiles), *range(1, whole))))
            if layout
            else b"",
            _box(b"iprp", _box(b"ipco", *properties), _associations(owned)),
            _box(b"idat", layout),
            _places([len(data) for _, data in coded], media_at, len(layout)),
        )

    head = _box(b"ftyp", b"heic", bytes(4), b"mif1", b"heic")
    return head + meta(len(head) + len(meta(0)) + 8) + _box(b"mdat", *(data for _, data in coded))


def _box(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I", 8 + len(body)) + kind + body


def _full(kind: bytes, version: int, *parts: bytes) -> bytes:
    return _box(kind, bytes([version, 0, 0, 0]), *parts)


def _infos(tiles: int, layout: bytes) -> bytes:
    kinds = [b"hvc1"] * tiles + [b"grid"] * bool(layout)
    entries = [_full(b"infe", 2, struct.pack(">HH", number, 0), kind, b"\0") for number, kind in enumerate(kinds, 1)]
    return _full(b"iinf", 0, struct.pack(">H", len(entries)), *entries)


def _associations(owned: dict[int, list[int]]) -> bytes:
    entries = [struct.pack(">HB", number, len(indices)) + bytes(indices) for number, indices in owned.items()]
    return _full(b"ipma", 0, struct.pack(">I", len(entries)), *entries)


def _places(lengths: list[int], at: int, layout_bytes: int) -> bytes:
    entries, number = [], count(1)
    for length in lengths:
        entries.append(struct.pack(">HHHHII", next(number), 0, 0, 1, at, length))
        at += length
    if layout_bytes:
        entries.append(struct.pack(">HHHHII", next(number), 1, 0, 1, 0, layout_bytes))
    return _full(b"iloc", 1, struct.pack(">BBH", 0x44, 0, len(entries)), *entries)


def _hevc(image: Image) -> tuple[bytes, bytes]:
    """The decoder's configuration, a box, and the coded picture."""
    film = io.BytesIO()
    with av.open(film, "w", format="mp4") as out:
        stream = out.add_stream("libx265", rate=1, options={"x265-params": "log-level=none:bframes=0", "crf": "8"})
        stream.height, stream.width = image.shape[:2]
        stream.pix_fmt, stream.codec_context.codec_tag = "yuv420p", "hvc1"
        frame = av.VideoFrame.from_ndarray(image, format="bgr24")
        frame.pts, frame.time_base = 0, Fraction(1)
        out.mux(stream.encode(frame))
        out.mux(stream.encode())
    data = film.getvalue()
    at = data.index(b"hvcC") - 4
    with av.open(io.BytesIO(data)) as container:
        picture = next(bytes(packet) for packet in container.demux(video=0) if packet.size)
    return data[at : at + int.from_bytes(data[at : at + 4], "big")], picture
