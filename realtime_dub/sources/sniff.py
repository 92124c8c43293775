"""What a stream of bytes is, told from how it begins: a kind of sound file, or samples without a header."""

from __future__ import annotations

import re
from collections.abc import Callable

RAW, MORE = "raw", "more"
LEAST = 16  # bytes that every mark fits into
ENOUGH = 8_192  # and three frames of any MPEG sound, which has no mark

# Each with the name of FFmpeg's demuxer. Samples without a header begin so by a chance of one in millions.
MARKS = {
    rb"(RIFF|RIFX|RF64|BW64)....WAVE": "wav",
    rb"RIFF....AVI ": "avi",
    rb"riff\x2e\x91\xcf\x11": "w64",
    rb"FORM....AIF[FC]": "aiff",
    rb"fLaC": "flac",
    rb"OggS\0": "ogg",
    rb"\.snd\0\0": "au",
    rb"caff\0": "caf",
    rb"\x1a\x45\xdf\xa3": "matroska",
    rb"....ftyp": "mov",
    rb"wvpk": "wv",
    rb"#!AMR": "amr",
    rb"FLV\x01": "flv",
    rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11": "asf",
    rb"ID3": "mp3",
}
# Bits per second of MPEG sound (ISO 11172-3, 13818-3), by version and layer, and samples per second of version 1.
_LOW = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
KILOBITS = {
    (1, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 2): _LOW,
    (2, 3): _LOW,
}
MPEG_RATES = (44_100, 48_000, 32_000)


def kind_of(head: bytes) -> str:
    """The demuxer for what begins so; RAW for samples; MORE where more bytes, up to ENOUGH, would tell."""
    if len(head) < LEAST:
        return MORE
    for mark, name in MARKS.items():
        if re.match(mark, head, re.DOTALL):
            return name
    for name, length in (("mpegts", _ts_packet), ("aac", _adts_frame), ("mp3", _mpeg_frame)):
        if (kind := _in_a_row(head, name, length)) != RAW:
            return kind
    return RAW


def _in_a_row(head: bytes, name: str, length: Callable[[bytes], int]) -> str:
    """Three frames, one directly after the other; ``length`` of one in bytes, 0 where there is none."""
    at = 0
    for _ in range(3):
        if at + LEAST > len(head):
            return MORE
        size = length(head[at : at + LEAST])
        if size == 0:
            return RAW
        at += size
    return name


def _ts_packet(head: bytes) -> int:
    return 188 if head[0] == 0x47 else 0


def _adts_frame(head: bytes) -> int:
    if head[0] != 0xFF or head[1] & 0xF6 != 0xF0 or (head[2] >> 2) & 15 > 12:
        return 0
    size = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
    return size if size > 7 else 0


def _mpeg_frame(head: bytes) -> int:
    version = {3: 1, 2: 2, 0: 4}.get((head[1] >> 3) & 3)  # 4 is what is called 2.5
    layer = 4 - ((head[1] >> 1) & 3)
    kilobits = KILOBITS.get((min(version or 0, 2), layer))
    bits, rate = head[2] >> 4, (head[2] >> 2) & 3
    if head[0] != 0xFF or head[1] & 0xE0 != 0xE0 or not version or kilobits is None or not 0 < bits < 15 or rate == 3:
        return 0
    per_frame = 72 if version > 1 and layer == 3 else 144
    return per_frame * 1000 * kilobits[bits - 1] * version // MPEG_RATES[rate] + ((head[2] >> 1) & 1)
