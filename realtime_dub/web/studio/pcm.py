"""Audio of a program as it comes over HTTP or a websocket: raw PCM or a WAV file, in pieces of any length."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from realtime_dub.media import Samples
from realtime_dub.web.refusals import Refusal

LEAST_RATE, MOST_RATE = 8_000, 96_000
MOST_CHANNELS = 2
MOST_HEADER = 64 * 1024  # bytes before a WAV file's samples
PCM, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE  # a WAV file's formats
UNKNOWN = (0, 0xFFFFFFFF)  # the length of samples whose end nobody knew yet
WIDTHS = {"s16": 2, "f32": 4}


@dataclass(frozen=True)
class PcmFormat:
    """Interleaved, little-endian."""

    rate: int
    channels: int = 1
    sample: Literal["s16", "f32"] = "s16"

    def check(self) -> None:
        """Raises Refusal."""
        if not LEAST_RATE <= self.rate <= MOST_RATE:
            raise Refusal(415, f"Audio at {self.rate} Hz is not taken.", f"Send {LEAST_RATE} to {MOST_RATE} Hz.")
        if not 1 <= self.channels <= MOST_CHANNELS:
            raise Refusal(415, f"Audio of {self.channels} channels is not taken.", "Send one channel, or two.")

    @property
    def frame_bytes(self) -> int:
        """One sample of each channel."""
        return self.channels * WIDTHS[self.sample]


class AudioReader(Protocol):
    """Whatever is cut where."""

    @property
    def format(self) -> PcmFormat | None:
        """None while the header has not come."""

    def feed(self, data: bytes) -> Samples:
        """(n, channels) of what is complete. Raises Refusal."""


class PcmReader:
    """Raw samples."""

    def __init__(self, format: PcmFormat) -> None:
        """Raises Refusal."""
        format.check()
        self.format = format
        self._rest = b""

    def feed(self, data: bytes) -> Samples:
        data = self._rest + data
        whole = len(data) - len(data) % self.format.frame_bytes
        self._rest = data[whole:]
        if self.format.sample == "f32":
            values = np.frombuffer(data[:whole], "<f4")
            values = np.clip(np.where(np.isfinite(values), values, 0), -1, 1).astype(np.float32)
        else:
            values = np.frombuffer(data[:whole], "<i2").astype(np.float32) / np.float32(32_768)
        samples: Samples = values.reshape(-1, self.format.channels)
        return samples


class WavReader:
    """A WAV file (RIFF; Microsoft and IBM, 1991), also one whose length its writer did not know."""

    def __init__(self) -> None:
        self._head = bytearray()
        self._reader: PcmReader | None = None
        self._left: int | None = None  # bytes of samples; None: to the end

    @property
    def format(self) -> PcmFormat | None:
        return self._reader.format if self._reader is not None else None

    def feed(self, data: bytes) -> Samples:
        if self._reader is None:
            self._head += data
            found = wav_header(bytes(self._head))
            if found is None:
                return np.zeros((0, 1), np.float32)
            format, at, self._left = found
            self._reader, data = PcmReader(format), bytes(self._head[at:])
            self._head.clear()
        if self._left is not None:
            data = data[: self._left]
            self._left -= len(data)
        return self._reader.feed(data)


def wav_header(data: bytes) -> tuple[PcmFormat, int, int | None] | None:
    """The format, where samples begin, and how many bytes of them; None while too little has come. Raises Refusal."""
    if len(data) >= 12 and (data[:4], data[8:12]) != (b"RIFF", b"WAVE"):
        raise Refusal(415, "The body is no WAV file.", "Send WAV, or raw samples as audio/pcm with ?rate=.")
    format, at = None, 12
    while len(data) >= at + 8:
        name, size = struct.unpack_from("<4sI", data, at)
        if name == b"data":
            if format is None:
                raise Refusal(415, "The WAV file has samples before their format.", "Write it anew.")
            return format, at + 8, None if size in UNKNOWN else size
        if at + 8 + size > MOST_HEADER:
            raise Refusal(413, "The WAV file's header is too long.", "Write it without pictures and lists.")
        if name == b"fmt " and len(data) >= at + 8 + size:
            format = _format(data[at + 8 : at + 8 + size])
        at += 8 + size + size % 2
    return None


def _format(body: bytes) -> PcmFormat:
    """Raises Refusal."""
    if len(body) < 16:
        raise Refusal(415, "The WAV file's format cannot be read.", "Write it anew.")
    code, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", body)
    if code == EXTENSIBLE and len(body) >= 26:
        (code,) = struct.unpack_from("<H", body, 24)
    if (code, bits) not in ((PCM, 16), (FLOAT, 32)):
        raise Refusal(415, f"WAV of {bits} bits is not taken.", "Send 16 bits, as ffmpeg -c:a pcm_s16le does.")
    format = PcmFormat(rate, channels, "s16" if code == PCM else "f32")
    format.check()
    return format
