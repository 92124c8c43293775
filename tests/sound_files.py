"""Sound files for the tests of what is heard: any shape of samples, and several parts strung together."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.stream import Disposition

from realtime_dub.errors import EndOfStream
from realtime_dub.media import AudioBlock
from realtime_dub.sources.base import VoiceSource

GUID = bytes.fromhex("000000001000800000aa00389b71")  # KSDATAFORMAT_SUBTYPE, after its two bytes of format
INTEGERS, FLOATS = 1, 3


def wav(samples: np.ndarray, rate: int, mask: int | None = None, announced: int | None = None) -> bytes:
    """WAV of (n, channels) as its dtype has them; ``mask``: of speakers; ``announced``: its own idea of its length."""
    channels, kind = samples.shape[1], FLOATS if samples.dtype.kind == "f" else INTEGERS
    data, width = samples.tobytes(), samples.dtype.itemsize
    head = struct.pack(
        "<HHIIHH", kind, channels, rate, rate * channels * width & 0xFFFF_FFFF, channels * width, 8 * width
    )
    if mask is not None or channels > 2:
        head = struct.pack("<H", 0xFFFE) + head[2:] + struct.pack("<HHIH", 22, 8 * width, mask or 0, kind) + GUID
    size = len(data) if announced is None else announced
    chunks = b"WAVEfmt " + struct.pack("<I", len(head)) + head + b"data" + struct.pack("<I", size) + data
    return b"RIFF" + struct.pack("<I", min(0xFFFF_FFFF, len(chunks) - len(data) + size)) + chunks


def buzz(rate: int, seconds: float, level: float = 0.3) -> np.ndarray:
    """(n,): a low voice without words."""
    t = np.arange(round(rate * seconds)) / rate
    return (level * sum(np.sin(2 * np.pi * 150 * k * t) / k for k in range(1, 8)) / 1.6).astype(np.float32)


def frames(samples: np.ndarray, rate: int, layout: str, size: int, pts: int = 0) -> list[av.AudioFrame]:
    """(n, channels) of any format whose name its dtype has, packed."""
    name = {"float32": "flt", "float64": "dbl", "int16": "s16", "int32": "s32", "uint8": "u8"}[samples.dtype.name]
    made = []
    for at in range(0, len(samples), size):
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples[at : at + size].reshape(1, -1)), name, layout)
        frame.rate, frame.time_base, frame.pts = rate, Fraction(1, rate), pts + at
        made.append(frame)
    return made


def write(
    path: Path,
    samples: np.ndarray,
    rate: int,
    codec: str,
    layout: str = "mono",
    pictures: Callable[[int], np.ndarray] | None = None,
    seconds: float = 0.0,
    options: dict[str, str] | None = None,
) -> Path:
    """(n, channels) float32 as PyAV codes it, and ``pictures`` at 25 fps for ``seconds``; ``options``: the muxer's."""
    with av.open(str(path), "w", options=options or {}) as container:
        film = container.add_stream("mpeg2video", rate=25) if pictures else None
        stream = container.add_stream(codec, rate=rate, layout=layout)
        packets = [] if film is None or pictures is None else _film(film, pictures, seconds)
        resampler = av.AudioResampler(stream.codec_context.format or "s16", layout, rate, _size(stream))
        for frame in [*frames(samples, rate, layout, 4096), None]:
            for part in resampler.resample(frame):
                packets += [(part.pts / rate, packet) for packet in stream.encode(part)]
        packets += [(1e9, packet) for packet in stream.encode(None)]
        for _, packet in sorted(packets, key=lambda each: each[0]):
            container.mux(packet)
    return path


def read_all(source: VoiceSource) -> list[AudioBlock]:
    blocks = []
    try:
        while True:
            blocks.append(source.read())
    except EndOfStream:
        return blocks


def bursts(samples: np.ndarray, rate: int, level: float = 0.2) -> list[float]:
    """When it becomes loud, in seconds."""
    loud = np.flatnonzero(np.abs(samples).max(axis=1) > level)
    starts: Sequence[int] = loud[np.diff(loud, prepend=-rate) > rate // 4]
    return [at / rate for at in starts]


def _size(stream: av.AudioStream) -> int | None:
    return stream.codec_context.frame_size or None


def _film(stream: av.VideoStream, pictures: Callable[[int], np.ndarray], seconds: float) -> list:
    packets = []
    for index in range(round(25 * seconds)):
        image = pictures(index)
        if index == 0:
            stream.height, stream.width = image.shape[:2]
        frame = av.VideoFrame.from_ndarray(image, "bgr24")
        frame.pts, frame.time_base = index, Fraction(1, 25)
        packets += [(index / 25, packet) for packet in stream.encode(frame)]
    return packets + [(seconds, packet) for packet in stream.encode(None)]


def write_tracks(
    path: Path,
    tones: dict[str, float],
    levels: Sequence[int] = (60,),
    default: tuple[int, int] = (0, 0),
    seconds: float = 1.0,
) -> Path:
    """A film of several flat grey pictures (their levels) and several tones (Hz, by language); which are default."""
    with av.open(str(path), "w") as container:
        films = [container.add_stream("mpeg4" if path.suffix != ".ts" else "mpeg2video", rate=25) for _ in levels]
        sounds = [container.add_stream("aac", rate=48_000, layout="mono") for _ in tones]
        for kind, streams in enumerate((films, sounds)):
            for index, stream in enumerate(streams):
                stream.disposition = Disposition.default if index == default[kind] else Disposition(0)
        packets = []
        for stream, level in zip(films, levels, strict=True):
            packets += _film(stream, lambda _, level=level: np.full((48, 64, 3), level, np.uint8), seconds)
        for stream, (language, tone) in zip(sounds, tones.items(), strict=True):
            stream.metadata["language"] = language
            sound = 0.5 * np.sin(2 * np.pi * tone * np.arange(round(48_000 * seconds)) / 48_000)
            for frame in frames(sound[:, None].astype(np.float32), 48_000, "mono", 1_024):
                planar = av.AudioFrame.from_ndarray(frame.to_ndarray(), "fltp", "mono")
                planar.rate, planar.pts, planar.time_base = 48_000, frame.pts, frame.time_base
                packets += [(frame.pts / 48_000, packet) for packet in stream.encode(planar)]
            packets += [(seconds, packet) for packet in stream.encode(None)]
        for _, packet in sorted(packets, key=lambda each: each[0]):
            container.mux(packet)
    return path


def pitch(samples: np.ndarray, rate: int) -> float:
    """Hz, of the loudest part."""
    power = np.abs(np.fft.rfft(samples.astype(np.float64) * np.hanning(len(samples))))
    return float(power.argmax() * rate / len(samples))
