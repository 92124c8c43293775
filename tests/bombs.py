"""Bytes that are little and become much: files, bodies and messages, each a few kB to some MB, made by hand."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from fractions import Fraction

import av
import hostile_files
import numpy as np

from realtime_dub.mouth.avatar.packed import NEEDED

HOURS_S = 5 * 3_600
MB = 1_000_000


def hours(seconds: int = HOURS_S) -> bytes:
    """Opus of silence for so long: one packet of 60 ms, again and again with later stamps."""
    encoder = av.CodecContext.create("libopus", "w")
    encoder.sample_rate, encoder.layout, encoder.format = 48_000, "mono", "s16"
    encoder.options = {"frame_duration": "60"}
    frame = av.AudioFrame.from_ndarray(np.zeros((1, 2_880), np.int16), "s16", "mono")
    frame.sample_rate, frame.pts, frame.time_base = 48_000, 0, Fraction(1, 48_000)
    coded = bytes((encoder.encode(frame) + encoder.encode(None))[0])
    out = io.BytesIO()
    with av.open(out, "w", format="matroska") as file:
        stream = file.add_stream("libopus", rate=48_000, layout="mono")
        for k in range(seconds * 1_000 // 60):
            packet = av.Packet(coded)
            packet.stream, packet.pts, packet.dts, packet.time_base = stream, k * 60, k * 60, Fraction(1, 1_000)
            file.mux_one(packet)
    return out.getvalue()


def flac_hours(seconds: int = HOURS_S) -> bytes:
    """FLAC of silence: a frame of 4608 samples at 8 kHz is eleven bytes, whose number alone is another in each."""
    out = io.BytesIO()
    with av.open(out, "w", format="flac") as file:
        stream = file.add_stream("flac", rate=8_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 4_608), np.int16), "s16", "mono")
        frame.sample_rate, frame.time_base = 8_000, Fraction(1, 8_000)
        for k in range(seconds * 8_000 // 4_608):
            frame.pts = k * 4_608
            file.mux(stream.encode(frame))
    return out.getvalue()


def edited(skip_s: int = 10 * 3_600) -> bytes:
    """An MP4 of a second whose edit list begins with hours of nothing, and repeats what follows."""
    out = io.BytesIO()
    with av.open(out, "w", format="mp4") as file:
        stream = file.add_stream("aac", rate=48_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 48_000), np.float32), "fltp", "mono")
        frame.sample_rate, frame.pts, frame.time_base = 48_000, 0, Fraction(1, 48_000)
        for packet in (*stream.encode(frame), *stream.encode(None)):
            file.mux(packet)
    edits = [(skip_s * 1_000, -1), *[(skip_s * 1_000, 0)] * 2_000]
    body = struct.pack(">II", 0, len(edits)) + b"".join(struct.pack(">Iihh", each, at, 1, 0) for each, at in edits)
    return _inserted(out.getvalue(), b"edts", _box(b"elst", body))


def described(size: int = 30 * MB) -> bytes:
    """The same, with a title of many MB, which says that it is longer still."""
    data = edited(0)
    title = _box(b"\xa9nam", _box(b"data", struct.pack(">II", 1, 0) + bytes(size)))
    meta = bytes(4) + _box(b"hdlr", bytes(8) + b"mdirappl" + bytes(9)) + _box(b"ilst", title)
    return data + _box(b"moov", _box(b"udta", _box(b"meta", meta))) + struct.pack(">I4sQ", 1, b"free", 1 << 50)


def many_streams(count: int = 3_000) -> bytes:
    """A film of Matroska that lists so many."""
    sound = _ebml(0xE1, _ebml(0xB5, struct.pack(">d", 48_000.0)) + _ebml(0x9F, b"\2") + _ebml(0x6264, b"\x10"))
    named = _ebml(0xD7, b"\1") + _ebml(0x73C5, b"\1") + _ebml(0x83, b"\2") + _ebml(0x86, b"A_PCM/INT/LIT")
    tracks = _ebml(0x1654AE6B, _ebml(0xAE, named + sound) * count)
    about = _ebml(0x1549A966, _ebml(0x2AD7B1, b"\x0f\x42\x40"))
    cluster = _ebml(0x1F43B675, _ebml(0xE7, b"\0") + _ebml(0xA3, b"\x81\0\0\x80" + bytes(64)) * 8)
    return _ebml(0x1A45DFA3, _ebml(0x4282, b"matroska")) + _ebml(0x18538067, about + tracks + cluster)


def tiff(width: int, height: int) -> bytes:
    """One strip of deflated zeros, of a picture that says it is so large."""
    strip = zlib.compress(bytes(20 * MB), 9)
    tags = [(256, 4, width), (257, 4, height), (258, 3, 8), (259, 3, 8), (262, 3, 1), (273, 4, 8), (277, 3, 1),
            (278, 4, height), (279, 4, len(strip))]  # fmt: skip
    table = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", tag, kind, 1, at) for tag, kind, at in tags)
    return b"II*\0" + struct.pack("<I", 8 + len(strip)) + strip + table + bytes(4)


def bmp(width: int, height: int) -> bytes:
    head = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + head + bytes(1_000)


def texted_png(size: int = 300 * MB) -> bytes:
    """A small picture with a deflated text of so many bytes, three times."""
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(bytes(MB)) for _ in range(size // MB)) + packer.flush()
    chunk = hostile_files._chunk(b"zTXt", b"Comment\0\0" + packed)
    return hostile_files.png(64, 64, 8, 2, chunk * 3)


def claimed_png(width: int = 64, height: int = 64) -> bytes:
    """Content credentials of boxes in boxes, thousands deep, each saying that it is a GB long."""
    deep = b"".join(struct.pack(">I4s", 1 << 30, b"jumb") for _ in range(20_000))
    return hostile_files.png(width, height, 8, 2, hostile_files._chunk(b"caBX", deep))


def zipped(*members: tuple[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, data in members:
            packed.writestr(name, data)
    return out.getvalue()


def zeros_zipped(name: str, size: int, *beside: str) -> bytes:
    """A zip with one member of so many zeros, a thousandth of it long, and empty ones ``beside`` it."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as packed:
        with packed.open(name, "w") as member:
            for _ in range(size // MB):
                member.write(bytes(MB))
        for each in beside:
            packed.writestr(each, b"")
    return out.getvalue()


def avatar(name: str, size: int) -> bytes:
    """All that an avatar's file has to have, and one of it is zeros without end."""
    return zeros_zipped(name, size, *(NEEDED - {name}))


def listed(count: int = 200_000) -> bytes:
    """A zip whose list has so many entries that hold nothing."""
    entry = b"PK\1\2" + bytes(24) + struct.pack("<HHHHHII", 4, 0, 0, 0, 0, 0, 0)[:18]
    entries = b"".join(entry[:46] + b"a%03d" % (k % 1_000) for k in range(count))
    end = struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, 65_535, 65_535, len(entries), 30, 0)
    return b"PK\3\4" + bytes(26) + entries + end


def array_claiming(shape: tuple[int, ...]) -> bytes:
    """An array's head that says so, and nothing of it."""
    out = io.BytesIO()
    np.lib.format.write_array_header_1_0(out, {"descr": "<f4", "fortran_order": False, "shape": shape})
    return out.getvalue()


def nested_array() -> bytes:
    """An array's head of brackets in brackets."""
    head = b"[" * 60_000
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head


def deflated(size: int, raw: bool = False) -> bytes:
    """Zeros; ``raw``: as websockets have them."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15 if raw else 31)
    return b"".join(packer.compress(bytes(MB)) for _ in range(size // MB)) + packer.flush(zlib.Z_SYNC_FLUSH)


def _box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(body), kind) + body


def _inserted(data: bytes, kind: bytes, body: bytes) -> bytes:
    """An MP4 whose one track has another box of that kind; what lies around it is so much longer."""
    moov = data.index(b"moov") - 4
    trak = data.index(b"trak", moov) - 4
    made = bytearray(data)
    if (at := data.find(kind, trak) - 4) > 0:
        made[at + 4 : at + 8] = b"free"
    at = trak + 8
    box = _box(kind, body)
    made[at:at] = box
    for start in (moov, trak):
        made[start : start + 4] = struct.pack(">I", struct.unpack(">I", made[start : start + 4])[0] + len(box))
    return bytes(made)


def _ebml(id: int, body: bytes) -> bytes:
    return id.to_bytes((id.bit_length() + 7) // 8, "big") + (len(body) | 1 << 56).to_bytes(8, "big") + body
