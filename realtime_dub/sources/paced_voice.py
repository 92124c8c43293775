"""A pulled voice played as if it were live."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import replace

from realtime_dub.clock import Clock
from realtime_dub.errors import EndOfStream
from realtime_dub.media import MS, AudioBlock, VoiceInfo, ns_to_samples, samples_to_ns
from realtime_dub.notes import notes_of
from realtime_dub.sources.base import VoiceSource
from realtime_dub.sources.paced import wait_until

BLOCK_NS = 10 * MS


class PacedVoice:
    """Gives blocks of at most 10 ms, each when its last sample would have been captured, stamped on the clock.

    ``start_ns``: the instant of the source's time 0, to keep step with a picture that is paced from the same instant.
    Without it the first sample plays at the first :meth:`read`.
    """

    def __init__(self, source: VoiceSource, clock: Clock, start_ns: int | None = None) -> None:
        self.source = source
        self._clock, self._start_ns = clock, start_ns
        self._pending: deque[AudioBlock] = deque()
        self._anchor_ns: int | None = None
        self._given = 0  # samples since the anchor
        self._closed = threading.Event()

    @property
    def notes(self) -> list[str]:
        """The notes of the source."""
        return notes_of(self.source)

    def open(self) -> VoiceInfo:
        info = self.source.open()
        return replace(info, live=True, block_ns=BLOCK_NS)

    def read(self) -> AudioBlock:
        while not self._pending:
            self._cut(self.source.read())
        block = self._pending.popleft()
        self._wait_until(block.end_ns)
        return block

    def close(self) -> None:
        self._closed.set()
        self.source.close()

    def _wait_until(self, when_ns: int) -> None:
        """In slices, for a start that lies far ahead not to keep a close waiting."""
        if not wait_until(self._clock, when_ns, self._closed):
            raise EndOfStream

    def _cut(self, block: AudioBlock) -> None:
        if self._anchor_ns is None:
            self._anchor_ns = self._clock.now_ns() if self._start_ns is None else self._start_ns + block.pts_ns
        size = ns_to_samples(BLOCK_NS, block.rate)
        for at in range(0, len(block.samples), size):
            part = block.samples[at : at + size]
            pts_ns = self._anchor_ns + samples_to_ns(self._given, block.rate)
            self._pending.append(AudioBlock(part, block.rate, pts_ns, block.gap))
            self._given += len(part)
