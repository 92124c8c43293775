"""What a program says is heard at the pace of speech: what is ahead waits, and gaps are silence. Without any I/O."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from realtime_dub.audio.resample import StreamResampler
from realtime_dub.media import MS, Samples, ns_to_samples, samples_to_ns

OUT_RATE = 48_000
BLOCK_MS = 20
BLOCKS_PER_S = 1000 // BLOCK_MS
BLOCK_NS = BLOCK_MS * MS
HEADROOM_NS, MOST_HEADROOM_NS = 60 * MS, 480 * MS  # that waits before speech begins, so that late pieces make no holes
HOLE_NS = 300 * MS  # a shorter gap was no pause: pieces come unevenly
FADE_MS = 4  # a voice that is torn off, or begins anywhere, would click
MOST_MARKS = 500


@dataclass(frozen=True)
class Given:
    """A block, (n, 1) at 48 kHz, whose first sample is that of ``at_ns`` on the program's own line."""

    samples: Samples
    at_ns: int


class Pacer:
    """The queue of one program. ``put`` what it sends; ``take`` once for each 20 ms, on one thread.

    A position is a number of samples that were put, at the program's rate: pauses that are made here do not count.
    """

    def __init__(self, rate: int, most_ns: int) -> None:
        self.rate, self._most = rate, ns_to_samples(most_ns, rate)
        self._pieces: deque[Samples] = deque()
        self._queued = 0
        self.position = 0  # of what is put next
        self._ended = False
        self._speaks = False
        self._silent = 0  # blocks since it has spoken
        self._waits = 0  # blocks that the first piece has waited
        self._headroom = ns_to_samples(HEADROOM_NS, rate)
        self._ticks = 0
        self._fed = self._given = 0  # samples of the line so far, pauses and all: at the program's rate, at 48 kHz
        self._resampler = StreamResampler(rate, OUT_RATE, 1)
        self._marks: list[tuple[int, Callable[[int], None]]] = []

    def put(self, samples: Samples) -> None:
        """(n, 1) at the program's rate."""
        if len(samples):
            self._pieces.append(samples)
            self._queued += len(samples)
            self.position += len(samples)

    def end(self) -> None:
        """Nothing more comes: what is there is spoken without waiting for more."""
        self._ended = True

    def clear(self) -> None:
        """What was not spoken yet is not, nor are its marks met."""
        spoken = self.position - self._queued
        self._marks = [mark for mark in self._marks if mark[0] <= spoken or mark[0] >= self.position]
        self._pieces.clear()
        self._queued = 0

    @property
    def queued_ns(self) -> int:
        return samples_to_ns(self._queued, self.rate)

    @property
    def is_full(self) -> bool:
        """The program is so far ahead that it has to wait."""
        return self._queued >= self._most

    @property
    def begun(self) -> bool:
        """It has said something."""
        return self._fed > 0

    @property
    def is_over(self) -> bool:
        return self._ended and not self._queued

    def mark(self, position: int, met: Callable[[int], None]) -> bool:
        """Call ``met`` with the time, on the program's own line, at which that position is spoken.

        False, and it never is, where too many wait already.
        """
        if len(self._marks) >= MOST_MARKS:
            return False
        self._marks.append((position, met))
        return True

    def take(self) -> Given | None:
        """The next 20 ms; None before the program has ever said anything."""
        count = self._due()
        spoken = self._next(count)
        if spoken is None and not self._fed:
            self._ticks -= 1
            return None
        self._silent = 0 if spoken is not None else self._silent + 1
        block = np.zeros((count, 1), np.float32)
        if spoken is not None:
            block[: len(spoken)] = spoken
        at_ns = samples_to_ns(self._given, OUT_RATE)
        samples = self._resampler.process(block)
        self._fed += count
        self._given += len(samples)
        return Given(samples, at_ns)

    def _due(self) -> int:
        """Samples of this block; rates that are no multiple of fifty have blocks of two lengths."""
        self._ticks += 1
        return self._ticks * self.rate // BLOCKS_PER_S - (self._ticks - 1) * self.rate // BLOCKS_PER_S

    def _next(self, count: int) -> Samples | None:
        """What is spoken in this block, shorter than it at an end; None in a pause."""
        began = not (self._speaks and self._queued)
        if began and not self._begins():
            self._speaks = False
            self._waits += bool(self._queued)
            return None
        spoken = self._pop(count)
        self._speaks, self._waits = len(spoken) == count, 0
        if began:
            self._fade(spoken)
        if not self._speaks:
            self._fade(spoken[::-1])
        return spoken

    def _fade(self, samples: Samples) -> None:
        """In from nothing, in place."""
        count = min(len(samples), FADE_MS * self.rate // 1000)
        samples[:count] *= np.linspace(0, 1, count, dtype=np.float32)[:, None]

    def _begins(self) -> bool:
        if not self._queued:
            return False
        waited = self._waits * self.rate // BLOCKS_PER_S
        if not (self._ended or self._queued >= self._headroom or waited >= self._headroom):
            return False
        if self._fed and self._silent * BLOCK_NS < HOLE_NS:
            self._headroom = min(2 * self._headroom, ns_to_samples(MOST_HEADROOM_NS, self.rate))
        return True

    def _pop(self, count: int) -> Samples:
        parts: list[Samples] = []
        begin, left = self.position - self._queued, min(count, self._queued)
        while left:
            piece = self._pieces.popleft()
            if len(piece) > left:
                self._pieces.appendleft(piece[left:])
                piece = piece[:left]
            parts.append(piece)
            left -= len(piece)
            self._queued -= len(piece)
        spoken = np.concatenate(parts)
        self._meet(begin, begin + len(spoken))
        return spoken

    def _meet(self, begin: int, end: int) -> None:
        at_ns = samples_to_ns(self._fed, self.rate)
        met = [mark for mark in self._marks if mark[0] < end]
        self._marks = [mark for mark in self._marks if mark[0] >= end]
        for position, call in met:
            call(at_ns + samples_to_ns(max(0, position - begin), self.rate))
