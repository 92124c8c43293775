"""Raw samples from a pipe: ``--mic -``."""

from __future__ import annotations

import contextlib
import os
import select
import struct
import sys
import threading
from collections import deque
from dataclasses import dataclass
from typing import BinaryIO, Literal

import numpy as np

from realtime_dub.audio.drift import DriftCorrector
from realtime_dub.audio.mono import MonoMixer
from realtime_dub.audio.samples import Cleaner
from realtime_dub.bounds import HIGHEST_RATE, LOWEST_RATE, MOST_CHANNELS
from realtime_dub.clock import Clock
from realtime_dub.errors import ConfigError, EndOfStream
from realtime_dub.media import MS, NS, AudioBlock, Samples, VoiceInfo, ns_to_samples, samples_to_ns

BLOCK_NS = 10 * MS
WAIT_S = 0.1  # between looks whether the source was closed
EARLY_NS = 5 * MS  # before its time a block is asked for: a producer's clock may be fast; what comes faster waits
LATE_NS = 15 * MS  # after its time a block that is not there makes a pause
HELD_UP_NS = NS // 2  # this late a block is asked for only where the whole machine stood still
SLOT_NS = 5 * NS  # the producer's clock is read once in so long
UNREAD_NS = NS // 2  # of sound that the end of a run leaves in the pipe is worth saying
FORMATS = {"s16le": ("<i2", 1 / 32768), "f32le": ("<f4", 1.0)}


@dataclass(frozen=True, slots=True)
class PcmFormat:
    """What raw samples do not say of themselves: interleaved channels, little-endian."""

    rate: int
    channels: int = 1
    sample_format: Literal["s16le", "f32le"] = "s16le"

    def __post_init__(self) -> None:
        if not LOWEST_RATE <= self.rate <= HIGHEST_RATE:
            raise ConfigError(
                "cannot read raw audio at", f"{self.rate} Hz", f"give a rate from {LOWEST_RATE} to {HIGHEST_RATE}"
            )
        if not 1 <= self.channels <= MOST_CHANNELS:
            raise ConfigError("cannot read raw audio of", f"{self.channels} channels", f"give 1 to {MOST_CHANNELS}")
        if self.sample_format not in FORMATS:
            raise ConfigError(
                "cannot read raw audio as", repr(self.sample_format), f"choose one of {', '.join(FORMATS)}"
            )

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

    Live (with a clock) they are stamped as they come. A producer that writes as it records is drift-corrected; one
    that is ahead (a file, a speech synthesiser) waits in its pipe: nothing is lost and nothing piles up here. After a
    pause time begins anew with the first sample.
    """

    def __init__(self, stream: BinaryIO, fmt: PcmFormat, clock: Clock | None = None) -> None:
        self._stream, self._format, self._clock = stream, fmt, clock
        self._decode, self._head = PcmDecoder(fmt), b""
        self._closed = threading.Event()
        self._block_bytes = ns_to_samples(BLOCK_NS, fmt.rate) * fmt.frame_bytes
        self._pending: deque[AudioBlock] = deque()
        self._descriptor: int | None = None
        self._data = b""  # less than a block
        self._taken = 0  # samples
        self._quickest: tuple[int, int, int] | None = None  # of this slot: how early, sample, time
        self._slot_ns = 0
        self._waited = False  # the block was not there when it was asked for: its producer is not ahead
        self._told: list[str] = []

    def unread(self, data: bytes) -> None:
        """What was read from the stream already, to be read again; before the first ``read``."""
        self._head = data

    @property
    def shape(self) -> tuple[int, int]:
        """Rate and channels of the blocks."""
        return self._format.rate, self._decode.channels

    @property
    def notes(self) -> list[str]:
        """What the user should know of the sound, as far as it was read."""
        return [*self._decode.notes("standard input"), *self._told]

    def open(self) -> VoiceInfo:
        channels = self._decode.channels
        self._corrector = DriftCorrector(self._format.rate, channels)
        self._descriptor = descriptor_of(self._stream)
        live = self._clock is not None
        block_ns = BLOCK_NS + self._corrector.delay_ns if live else 0
        return VoiceInfo(self._format.rate, channels, live, "standard input", block_ns)

    def read(self) -> AudioBlock:
        while not self._pending:
            self._pending += self._pulled() if self._clock is None else self._live(self._clock)
        return self._pending.popleft()

    def close(self) -> None:
        if not self._closed.is_set():
            self._closed.set()
            self._tell_unread()

    def _pulled(self) -> list[AudioBlock]:
        self._fill(None)
        samples, pts_ns = self._samples(), samples_to_ns(self._taken, self._format.rate)
        self._taken += len(samples)
        return [AudioBlock(samples, self._format.rate, pts_ns)]

    def _live(self, clock: Clock) -> list[AudioBlock]:
        """The next block, held back while it is ahead of its time; at a pause what is left of the sound before it."""
        due_ns = self._due_ns()
        if due_ns is not None:
            clock.sleep_until_blocking(due_ns - EARLY_NS)
        asked_ns, self._waited = clock.now_ns(), False
        try:
            came = self._fill(None if due_ns is None else due_ns + LATE_NS)
        except EndOfStream:
            if rest := self._corrector.rest():
                return rest
            raise
        samples, now_ns = self._samples(), clock.now_ns()
        if not came:
            return (self._corrector.follow(samples) if len(samples) else []) + self._corrector.rest()
        before = self._corrector.rest() if due_ns is not None and self._is_late(due_ns, asked_ns, now_ns) else []
        start_ns = now_ns - samples_to_ns(len(samples), self._format.rate)
        if self._corrector.next_ns is None:
            self._quickest, self._slot_ns = None, now_ns
            return before + self._corrector.process(samples, start_ns)
        if self._waited:
            self._measure(start_ns, now_ns)
        return self._corrector.follow(samples)

    def _is_late(self, due_ns: int, asked_ns: int, now_ns: int) -> bool:
        """The block came late. One that was there and is late because nobody took it is not: the next ones are, too."""
        return (self._waited and now_ns > due_ns + LATE_NS) or asked_ns > due_ns + HELD_UP_NS

    def _measure(self, start_ns: int, now_ns: int) -> None:
        """The producer's clock, by the block of each slot of time that came the soonest: jitter bends nothing."""
        count, estimator = self._corrector.count, self._corrector.estimator
        early_ns = estimator.time_ns(count) - start_ns
        if self._quickest is None or early_ns > self._quickest[0]:
            self._quickest = early_ns, count, start_ns
        if now_ns - self._slot_ns > SLOT_NS:
            estimator.update(*self._quickest[1:])
            self._quickest, self._slot_ns = None, now_ns

    def _due_ns(self) -> int | None:
        """When the next block is complete, by the line; None where none is begun."""
        next_ns = self._corrector.next_ns
        return None if next_ns is None else next_ns + self._corrector.delay_ns + BLOCK_NS

    def _samples(self) -> Samples:
        """The whole frames of what was read."""
        whole = len(self._data) - len(self._data) % self._format.frame_bytes
        data, self._data = self._data[:whole], self._data[whole:]
        return self._decode(data)

    def _fill(self, until_ns: int | None) -> bool:
        """Read on to a block, or to the end. False: none came until ``until_ns``. Raises EndOfStream, nothing left."""
        while len(self._data) < self._block_bytes:
            part = self._part(self._block_bytes - len(self._data), until_ns)
            if part is None:
                return False
            if not part and len(self._data) < self._format.frame_bytes:
                raise EndOfStream
            if not part:
                break
            self._data += part
        return True

    def _part(self, count: int, until_ns: int | None) -> bytes | None:
        """Some bytes; none at the end. None where none came until ``until_ns``."""
        if self._head:
            data, self._head = self._head[:count], self._head[count:]
            return data
        if self._descriptor is None:
            return self._part_of_stream(count)
        wait_s = 0.0
        while not self._closed.is_set():
            if select.select([self._descriptor], [], [], wait_s)[0]:
                return os.read(self._descriptor, count)
            self._waited = True
            wait_s = min(WAIT_S, self._left_s(until_ns))
            if wait_s == 0:
                return None
        return b""

    def _part_of_stream(self, count: int) -> bytes:
        """Blocks: where nothing can be waited for, the clock tells whether the bytes were there."""
        if self._closed.is_set():
            return b""
        asked_ns = self._clock.now_ns() if self._clock else 0
        part = self._stream.read(count)
        self._waited |= self._clock is not None and self._clock.now_ns() - asked_ns > MS
        return part

    def _left_s(self, until_ns: int | None) -> float:
        if until_ns is None or self._clock is None:
            return float("inf")
        return max(0, until_ns - self._clock.now_ns()) / NS

    def _tell_unread(self) -> None:
        length_ns = samples_to_ns(_unread(self._descriptor) // self._format.frame_bytes, self._format.rate)
        if self._clock is not None and length_ns >= UNREAD_NS:
            left = f"{length_ns / NS:.1f} s of sound or more waited on standard input"
            self._told.append(f"the run ended before the voice: {left}")


def descriptor_of(stream: BinaryIO) -> int | None:
    """What ``select`` can wait on, so that closing ends a read; None for streams in memory and on Windows."""
    if sys.platform == "win32":
        return None
    try:
        return stream.fileno()
    except OSError:
        return None


def _unread(descriptor: int | None) -> int:
    """Bytes that wait in a pipe."""
    if descriptor is None:
        return 0
    with contextlib.suppress(OSError, ImportError):
        from fcntl import ioctl
        from termios import FIONREAD

        return int(struct.unpack("i", ioctl(descriptor, FIONREAD, b"\0" * 4))[0])
    return 0
