"""Raw samples from a pipe: ``--mic -``."""

from __future__ import annotations

import os
import select
import sys
import threading
from collections import deque
from dataclasses import dataclass
from typing import BinaryIO, Literal

import numpy as np

from realtime_dub.audio.drift import DriftCorrector
from realtime_dub.audio.mono import MonoMixer
from realtime_dub.audio.samples import HIGHEST_RATE, LOWEST_RATE, MOST_CHANNELS, Cleaner
from realtime_dub.clock import Clock
from realtime_dub.errors import ConfigError, EndOfStream
from realtime_dub.media import MS, AudioBlock, Samples, VoiceInfo, ns_to_samples, samples_to_ns

BLOCK_NS = 10 * MS
WAIT_S = 0.1  # between looks whether the source was closed
MOST_HASTE = 500  # ppm by which a producer's clock may be fast; what comes faster waits in the pipe
FORMATS = {"s16le": ("<i2", 1 / 32768), "f32le": ("<f4", 1.0)}


@dataclass(frozen=True, slots=True)
class PcmFormat:
    """What raw samples do not say of themselves: interleaved channels, little-endian."""

    rate: int
    channels: int = 1
    sample_format: Literal["s16le", "f32le"] = "s16le"

    def __post_init__(self) -> None:
        if not LOWEST_RATE <= self.rate <= HIGHEST_RATE:
            raise ConfigError("raw sound at", f"{self.rate} Hz", f"give a rate from {LOWEST_RATE} to {HIGHEST_RATE}")
        if not 1 <= self.channels <= MOST_CHANNELS:
            raise ConfigError("raw sound of", f"{self.channels} channels", f"give 1 to {MOST_CHANNELS}")
        if self.sample_format not in FORMATS:
            raise ConfigError("raw sound as", repr(self.sample_format), f"choose one of {', '.join(FORMATS)}")

    @property
    def frame_bytes(self) -> int:
        return int(self.channels * np.dtype(FORMATS[self.sample_format][0]).itemsize)


class PcmDecoder:
    """Raw bytes of one stream as samples: one or two channels as they are, more of them mixed to one."""

    def __init__(self, fmt: PcmFormat) -> None:
        self._format = fmt
        self._dtype, scale = FORMATS[fmt.sample_format]
        self._scale = np.float32(scale)
        self._clean, self._mono = Cleaner(), MonoMixer(fmt.rate)
        self.channels = fmt.channels if fmt.channels <= 2 else 1

    def __call__(self, data: bytes) -> Samples:
        """Whole frames as (n, channels)."""
        values = np.frombuffer(data, self._dtype).astype(np.float32).reshape(-1, self._format.channels)
        samples = self._clean(values * self._scale)
        return samples if samples.shape[1] == self.channels else self._mono(samples)[:, None]

    def notes(self, name: str) -> list[str]:
        """What the user should know of the sound."""
        return self._clean.notes(name)


class PcmSource:
    """Samples from a pipe. Without a clock they are pulled, from 0 on.

    Live (with a clock) they are stamped as they come and drift-corrected: a producer that is up to 500 ppm fast is
    followed, a faster one (a file) waits in its pipe.
    """

    def __init__(self, stream: BinaryIO, fmt: PcmFormat, clock: Clock | None = None) -> None:
        self._stream, self._format, self._clock = stream, fmt, clock
        self._decode = PcmDecoder(fmt)
        self._closed = threading.Event()
        self._block_bytes = ns_to_samples(BLOCK_NS, fmt.rate) * fmt.frame_bytes
        self._pending: deque[AudioBlock] = deque()
        self._taken = 0  # samples
        self._start_ns: int | None = None

    @property
    def notes(self) -> list[str]:
        """What the user should know of the sound, as far as it was read."""
        return self._decode.notes("standard input")

    def open(self) -> VoiceInfo:
        channels = self._decode.channels
        self._corrector = DriftCorrector(self._format.rate, channels)
        self._descriptor = _descriptor(self._stream)
        live = self._clock is not None
        block_ns = BLOCK_NS + self._corrector.delay_ns if live else 0
        return VoiceInfo(self._format.rate, channels, live, "standard input", block_ns)

    def read(self) -> AudioBlock:
        while not self._pending:
            samples = self._decode(self._bytes())
            self._pending += self._pulled(samples) if self._clock is None else self._live(samples, self._clock)
            self._taken += len(samples)
        return self._pending.popleft()

    def close(self) -> None:
        self._closed.set()

    def _pulled(self, samples: Samples) -> list[AudioBlock]:
        return [AudioBlock(samples, self._format.rate, samples_to_ns(self._taken, self._format.rate))]

    def _live(self, samples: Samples, clock: Clock) -> list[AudioBlock]:
        length_ns = samples_to_ns(len(samples), self._format.rate)
        if self._start_ns is None:
            self._start_ns = clock.now_ns() - length_ns
        end_ns = samples_to_ns(self._taken, self._format.rate) + length_ns
        clock.sleep_until_blocking(self._start_ns + end_ns * (1_000_000 - MOST_HASTE) // 1_000_000)
        return self._corrector.process(samples, clock.now_ns() - length_ns)

    def _bytes(self) -> bytes:
        """A block, or what is left of one at the end. Raises EndOfStream."""
        data = b""
        while len(data) < self._block_bytes:
            part = self._part(self._block_bytes - len(data))
            if not part:
                break
            data += part
        whole = len(data) - len(data) % self._format.frame_bytes
        if whole == 0:
            raise EndOfStream
        return data[:whole]

    def _part(self, count: int) -> bytes:
        if self._descriptor is None:
            return b"" if self._closed.is_set() else self._stream.read(count)
        while not self._closed.is_set():
            if select.select([self._descriptor], [], [], WAIT_S)[0]:
                return os.read(self._descriptor, count)
        return b""


def _descriptor(stream: BinaryIO) -> int | None:
    """What ``select`` can wait on, so that closing ends a read; None for streams in memory and on Windows."""
    if sys.platform == "win32":
        return None
    try:
        return stream.fileno()
    except OSError:
        return None
