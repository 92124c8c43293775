"""Small media files of every kind, and ways in which they get broken. Everything follows from a seed."""

from __future__ import annotations

import io
import random
import wave
from collections.abc import Callable, Iterator
from typing import Any

import av
import cv2
import numpy as np

SIZE = 32
AUDIO = {"mp3": "libmp3lame", "ogg": "libopus", "flac": "flac", "m4a": "aac"}
VIDEO = {"mp4": "libx264", "mkv": "libx264", "avi": "mpeg4", "ts": "libx264", "gif": "gif"}
FORMATS = {"m4a": "mp4", "mkv": "matroska", "ts": "mpegts"}
SOUND_OF = {"avi": "libmp3lame"}
PICTURES = (".png", ".jpg", ".webp", ".bmp", ".tiff", ".ppm")
SUFFIXES = (*(f".{kind}" for kind in (*VIDEO, *AUDIO, "wav")), *PICTURES)


def sample(suffix: str) -> bytes:
    """A whole file: sound, a film with sound, a moving or a still picture."""
    kind = suffix[1:]
    if kind in VIDEO:
        return _film(kind, VIDEO[kind], sound=kind != "gif")
    if kind in AUDIO:
        return _sound(kind, AUDIO[kind])
    if kind == "wav":
        return _wav()
    ramp = np.add.outer(np.arange(SIZE), np.arange(SIZE)).astype(np.uint8) * 4
    return cv2.imencode(suffix, np.dstack([ramp] * 3))[1].tobytes()


def mutations(whole: bytes, count: int, seed: str) -> Iterator[bytes]:
    """``count`` broken copies."""
    for k in range(count):
        dice = random.Random(f"{seed} {k}")
        data = bytearray(whole)
        for _ in range(dice.choice((1, 1, 2, 4))):
            dice.choice(WAYS)(data, dice)
        yield bytes(data)


def _flip(data: bytearray, dice: random.Random) -> None:
    for _ in range(dice.choice((1, 3, 10, 50))):
        if data:
            data[dice.randrange(len(data))] = dice.randrange(256)


def _header(data: bytearray, dice: random.Random) -> None:
    """The first bytes: where sizes, rates and counts are."""
    for _ in range(dice.choice((1, 2, 4, 8))):
        if data:
            data[dice.randrange(min(len(data), 64))] = dice.choice((0, 1, 0x7F, 0x80, 0xFF, dice.randrange(256)))


def _number(data: bytearray, dice: random.Random) -> None:
    """A number of two or four bytes somewhere, as none should be."""
    wide = dice.choice((2, 4))
    if len(data) > 128:
        at = dice.randrange(dice.choice((64, 512, len(data))) % (len(data) - wide) + 1)
        data[at : at + wide] = dice.choice((b"\0" * wide, b"\xff" * wide, b"\x7f" + b"\xff" * (wide - 1)))


def _cut(data: bytearray, dice: random.Random) -> None:
    del data[dice.randrange(len(data) + 1) :]


def _hole(data: bytearray, dice: random.Random) -> None:
    at = dice.randrange(len(data) + 1)
    del data[at : at + dice.choice((1, 16, 300))]


def _twice(data: bytearray, dice: random.Random) -> None:
    at = dice.randrange(len(data) + 1)
    data[at:at] = data[: dice.choice((8, 64, 1_000))]


def _zeros(data: bytearray, dice: random.Random) -> None:
    at, count = dice.randrange(len(data) + 1), dice.choice((4, 64, 1_000))
    data[at : at + count] = bytes(len(data[at : at + count]))


WAYS: tuple[Callable[[bytearray, random.Random], None], ...] = (_flip, _header, _number, _cut, _hole, _twice, _zeros)


def _wav() -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(8_000)
        file.writeframes((np.arange(3_200) % 200).astype("<i2").tobytes())
    return out.getvalue()


def _sound(kind: str, codec: str) -> bytes:
    out = io.BytesIO()
    with av.open(out, "w", format=FORMATS.get(kind, kind)) as container:
        _mux_sound(container, container.add_stream(codec, rate=48_000, layout="mono"))
    return out.getvalue()


def _film(kind: str, codec: str, sound: bool) -> bytes:
    out = io.BytesIO()
    with av.open(out, "w", format=FORMATS.get(kind, kind)) as container:
        stream = container.add_stream(codec, rate=25)
        stream.width = stream.height = SIZE
        stream.pix_fmt = "rgb8" if codec == "gif" else "yuv420p"
        beside = container.add_stream(SOUND_OF.get(kind, "aac"), rate=48_000, layout="mono") if sound else None
        for k in range(5):
            picture = np.full((SIZE, SIZE, 3), 40 * k, np.uint8)
            picture[k : k + 9, 4:20] = 200
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=stream.pix_fmt)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
        if beside is not None:
            _mux_sound(container, beside)
    return out.getvalue()


def _mux_sound(container: Any, stream: Any) -> None:
    tone = (np.sin(np.arange(9_600) / 20) * 8_000).astype(np.int16)
    frame = av.AudioFrame.from_ndarray(tone[None], format="s16", layout="mono")
    frame.sample_rate = 48_000
    container.mux(stream.encode(frame))
    container.mux(stream.encode())
