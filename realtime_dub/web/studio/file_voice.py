"""The voice from an uploaded file, which its listener pauses, begins anew and repeats.

:class:`Playback` says what is heard at which instant. Any number of runs read by it, so that one which takes over from
another goes on where that one is.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np

from realtime_dub.clock import Clock
from realtime_dub.errors import EndOfStream
from realtime_dub.media import MS, NS, AudioBlock, Samples, VoiceInfo, ns_to_samples, samples_to_ns
from realtime_dub.sources.audio_file import AudioFileSource
from realtime_dub.sources.paced import wait_until

BLOCK_NS = 10 * MS
STEP_NS = 5 * MS  # off its place by more than this, the file is read on from there
BEHIND_NS = 200 * MS  # later than this, the sound begins anew at the present instant


class Playback:
    """Where in a file of ``length_ns`` the voice is. Called from any thread; stands at the start until it begins."""

    def __init__(self, clock: Clock, length_ns: int) -> None:
        self._clock, self._length_ns = clock, max(1, length_ns)
        self._lock = threading.Lock()
        self._from_ns, self._at_ns = 0, 0  # at that instant it was at this place
        self._begun, self._playing, self._loop = False, False, True

    def begin(self) -> None:
        """Somebody hears it from now on. Only the first call counts."""
        if not self._begun:
            self._begun = True
            self.steer(playing=True, at_ns=0)

    def steer(self, playing: bool | None = None, at_ns: int | None = None, loop: bool | None = None) -> None:
        """Change what is not None, from now on. What is played on after its end begins anew."""
        now_ns = self._clock.now_ns()
        with self._lock:
            place_ns = self._place(now_ns)
            at_end = place_ns >= self._length_ns
            place_ns = 0 if at_end and playing else place_ns
            self._from_ns, self._at_ns = now_ns, place_ns if at_ns is None else min(at_ns, self._length_ns)
            self._playing = self._playing if playing is None else playing
            self._loop = self._loop if loop is None else loop

    def at(self, instant_ns: int) -> int | None:
        """The place that is heard at an instant of the clock; None for silence."""
        with self._lock:
            place_ns = self._place(instant_ns)
            return place_ns if self._playing and 0 <= place_ns < self._length_ns else None

    def to_dict(self) -> dict[str, Any]:
        """For the page."""
        with self._lock:
            place_ns = self._place(self._clock.now_ns())
            playing = self._playing and place_ns < self._length_ns
            seconds, at_s = self._length_ns / NS, place_ns / NS
            return {"playing": playing, "at_s": round(at_s, 2), "seconds": round(seconds, 2), "loop": self._loop}

    def _place(self, instant_ns: int) -> int:
        """Negative before the last change; the length at the end."""
        place_ns = self._at_ns + (instant_ns - self._from_ns if self._playing else 0)
        return place_ns % self._length_ns if self._loop and place_ns >= 0 else min(place_ns, self._length_ns)


class FileVoice:
    """A live voice that plays a file as ``playback`` says: blocks of 10 ms, silence where it pauses."""

    def __init__(self, path: Path, playback: Playback, clock: Clock) -> None:
        self._path, self._playback, self._clock = path, playback, clock
        self._closed = threading.Event()
        self._lock = threading.Lock()  # of the file that is open: a close comes from another thread
        self._source: AudioFileSource | None = None

    def open(self) -> VoiceInfo:
        info = self._begin_file()
        self._rate, self._channels = info.rate, info.channels
        self._count = ns_to_samples(BLOCK_NS, info.rate)
        self._anchor_ns, self._given = -1, 0  # the instant of the first sample; samples since
        self._silent = True  # the last block was
        return VoiceInfo(info.rate, info.channels, live=True, name=info.name, block_ns=BLOCK_NS)

    def read(self) -> AudioBlock:
        now_ns = self._clock.now_ns()
        if self._anchor_ns < 0 or now_ns - self._instant_ns() > BEHIND_NS:
            self._anchor_ns, self._given = now_ns, 0
        start_ns = self._instant_ns()
        block = AudioBlock(self._heard(start_ns), self._rate, start_ns)
        self._given += self._count
        self._wait_until(block.end_ns)
        return block

    def close(self) -> None:
        with self._lock:
            self._closed.set()
            if self._source is not None:
                self._source.close()

    def _instant_ns(self) -> int:
        return self._anchor_ns + samples_to_ns(self._given, self._rate)

    def _heard(self, start_ns: int) -> Samples:
        """One block. What begins or ends within the file does so over the block, without a click."""
        place_ns = self._playback.at(start_ns)
        silent = place_ns is None
        if place_ns is not None:
            self._go_to(ns_to_samples(place_ns, self._rate))
        samples = np.zeros((self._count, self._channels), np.float32) if silent and self._silent else self._pull()
        if silent != self._silent:
            ramp = np.linspace(0, 1, self._count, dtype=np.float32)[:, None]
            samples = samples * (ramp[::-1] if silent else ramp)
        self._silent = silent
        return samples

    def _begin_file(self) -> VoiceInfo:
        with self._lock:
            if self._source is not None:
                self._source.close()
            if self._closed.is_set():
                raise EndOfStream
            self._source = AudioFileSource(self._path)
            info = self._source.open()
            self._rest = np.zeros((0, info.channels), np.float32)
            self._read = 0  # samples of the file that were taken
            return info

    def _go_to(self, at: int) -> None:
        if abs(at - self._read) <= ns_to_samples(STEP_NS, self._rate):
            return
        if at < self._read:
            self._begin_file()
        while self._read < at and len(self._more()):
            taken = min(at - self._read, len(self._rest))
            self._rest, self._read = self._rest[taken:], self._read + taken

    def _pull(self) -> Samples:
        """The next block of the file, and silence beyond its end."""
        out = np.zeros((self._count, self._channels), np.float32)
        filled = 0
        while filled < self._count and len(self._more()):
            piece = self._rest[: self._count - filled]
            out[filled : filled + len(piece)] = piece
            filled, self._rest = filled + len(piece), self._rest[len(piece) :]
        self._read += self._count
        return out

    def _more(self) -> Samples:
        """What lies ready of the file; nothing at its end. Raises EndOfStream once closed."""
        while not len(self._rest):
            if self._closed.is_set():
                raise EndOfStream
            assert self._source is not None
            try:
                self._rest = self._source.read().samples
            except EndOfStream:
                break
        return self._rest

    def _wait_until(self, when_ns: int) -> None:
        """In slices, for a close not to be kept waiting."""
        if not wait_until(self._clock, when_ns, self._closed):
            raise EndOfStream
