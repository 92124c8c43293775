"""Files that declare much and hold little, made by hand: pictures, and sound with holes and impossible rates."""

from __future__ import annotations

import io
import struct
import zlib
from fractions import Fraction

import av
import cv2
import numpy as np
from PIL import Image as Pil


def png(width: int, height: int, depth: int = 1, colour: int = 0, extra: bytes = b"") -> bytes:
    """A whole one, all black: every row is there, packed a thousandfold. ``colour`` 0 is grey, 2 is RGB."""
    row = b"\0" * (1 + (width * depth * (3 if colour == 2 else 1) + 7) // 8)
    packer = zlib.compressobj(9)
    rows = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    parts = ((b"IHDR", head), (b"IDAT", rows), (b"IEND", b""))
    first, *rest = (_chunk(kind, body) for kind, body in parts)
    return b"\x89PNG\r\n\x1a\n" + first + extra + b"".join(rest)


def moving_png(width: int, height: int) -> bytes:
    """The same in RGB, which says that it has two pictures: FFmpeg reads those."""
    shown = struct.pack(">IIIIIHHBB", 0, width, height, 0, 0, 1, 25, 0, 0)
    return png(width, height, 8, 2, _chunk(b"acTL", struct.pack(">II", 2, 0)) + _chunk(b"fcTL", shown))


def jpeg(width: int, height: int) -> bytes:
    """16x16 pixels that say they are more."""
    data = bytearray(cv2.imencode(".jpg", np.full((16, 16, 3), 128, np.uint8))[1].tobytes())
    at = data.find(b"\xff\xc0")
    data[at + 5 : at + 9] = struct.pack(">HH", height, width)
    return bytes(data)


def webp(width: int, height: int) -> bytes:
    packed = io.BytesIO()
    Pil.new("RGB", (16, 16)).save(packed, "WEBP", lossless=True)
    data = bytearray(packed.getvalue())
    at = data.find(b"VP8L") + 9
    bits = int.from_bytes(data[at : at + 4], "little") & ~0x0FFF_FFFF | (width - 1) | (height - 1) << 14
    data[at : at + 4] = bits.to_bytes(4, "little")
    return bytes(data)


def gif(width: int, height: int) -> bytes:
    screen = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
    return screen + b"," + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\x02\x02\x4c\x01\0;"


def jpeg2000(width: int, height: int) -> bytes:
    packed = io.BytesIO()
    Pil.new("RGB", (16, 16)).save(packed, "JPEG2000")
    data = bytearray(packed.getvalue())
    data[(at := data.find(b"ihdr") + 4) : at + 8] = struct.pack(">II", height, width)
    at = data.find(b"\xff\x51")
    for where in (at + 6, at + 22):  # the picture and its one tile
        data[where : where + 8] = struct.pack(">II", width, height)
    return bytes(data)


def vp8(width: int, height: int) -> bytes:
    """A film whose key frame says so."""
    out = io.BytesIO()
    with av.open(out, "w", format="webm") as container:
        stream = container.add_stream("libvpx", rate=25)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        for packet in (*stream.encode(av.VideoFrame(64, 64, "yuv420p")), *stream.encode(None)):
            container.mux(packet)
    data = bytearray(out.getvalue())
    data[(at := data.find(b"\x9d\x01\x2a") + 3) : at + 4] = struct.pack("<HH", width, height)
    return bytes(data)


def holed(rate: int, hole_s: float) -> bytes:
    """A few samples, silence that is not there, a few samples."""
    out = io.BytesIO()
    with av.open(out, "w", format="matroska") as container:
        stream = container.add_stream("pcm_s16le", rate=rate, layout="mono")
        for at in (0, 8, 16 + round(hole_s * rate)):
            frame = av.AudioFrame.from_ndarray(np.full((1, 8), 99, np.int16), "s16", "mono")
            frame.sample_rate, frame.pts, frame.time_base = rate, at, Fraction(1, rate)
            container.mux(stream.encode(frame))
    return out.getvalue()


def wav(rate: int, channels: int = 1, count: int = 64) -> bytes:
    """A plain header with any numbers in it."""
    head = struct.pack("<HHIIHH", 1, channels, rate, rate * channels * 2 & 0xFFFF_FFFF, channels * 2 & 0xFFFF, 16)
    body = bytes(count * channels * 2)
    chunks = b"WAVEfmt " + struct.pack("<I", 16) + head + b"data" + struct.pack("<I", len(body)) + body
    return b"RIFF" + struct.pack("<I", len(chunks)) + chunks


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
