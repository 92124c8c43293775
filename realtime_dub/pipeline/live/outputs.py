"""A publisher on its thread, with the policy it asks for when it is slower than the grid."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from realtime_dub.clock import Clock
from realtime_dub.errors import EndOfStream, LostOutput
from realtime_dub.flow import Worker
from realtime_dub.losses import Lost, lost_by
from realtime_dub.media import NS, AudioBlock, OutputFormat, Tick
from realtime_dub.pipeline.statistics import Recorder
from realtime_dub.publishers.base import Publisher

_QUEUE = 8  # ticks that wait for a publisher that takes every one
_PATIENCE_S = 10  # for what waits and the closing
_STUCK_NS = 10 * NS  # of sound behind: the publisher will not come back
_LEAST_LOSS_S = 0.05  # less than that nobody would miss


@dataclass(frozen=True, slots=True, eq=False)
class Stamped:
    """A tick and the instants that its picture and its first sample were captured for."""

    tick: Tick
    picture_ns: int | None  # the voice that the mouth speaks, or the unchanged frame's capture; None = a repeat
    sound_ns: int


class Output(Protocol):
    """What the loop hands ticks to."""

    def offer(self, stamped: Stamped) -> None:
        """Take a tick without blocking."""

    def close(self) -> None:
        """Let what waits go out, then release."""


class PublisherThread:
    """Opens, feeds and closes a publisher, all on one thread named after it."""

    def __init__(
        self, publisher: Publisher, clock: Clock, recorder: Recorder, failed: Callable[[str, Exception], None]
    ) -> None:
        self.publisher = publisher
        self._clock, self._recorder, self._failed = clock, recorder, failed
        self._waiting: deque[Stamped] = deque()
        self._lock = threading.Lock()
        self._dead = False
        self._error: Exception | None = None
        self._offered_ns = self._published_ns = 0  # of the time line, from its start
        self._worker = Worker(f"publisher {publisher.name}")

    def open(self, fmt: OutputFormat) -> None:
        """Open the publisher on its thread. Raises what it raises."""
        try:
            self._worker.submit(lambda: self.publisher.open(fmt)).result()
        except BaseException:
            self._dead = True
            self.close()
            raise

    def lost(self) -> Lost:
        return lost_by((self.publisher,))

    def offer(self, stamped: Stamped) -> None:
        """Take a tick; where the publisher is behind, its policy decides what is lost."""
        self._offered_ns = stamped.tick.pts_ns + stamped.tick.duration_ns
        if self._dead:
            return
        with self._lock:
            if self.publisher.policy == "latest" and self._waiting:
                self._waiting[-1] = stamped
                self._recorder.skipped()
                return
            if len(self._waiting) >= _QUEUE:
                self._waiting[-1] = _longer(self._waiting[-1], stamped)
                self._recorder.skipped()
                stuck = self._waiting[-1].tick.duration_ns > _STUCK_NS
            else:
                self._waiting.append(stamped)
                self._worker.submit(self._next)
                stuck = False
        if stuck:
            name, kept_ns = self.publisher.name, self._published_ns
            self._fail(LostOutput("cannot keep up:", name, "publish to something faster", kept_ns=kept_ns))

    def close(self) -> None:
        """Publish what waits, close the publisher, end the thread; the report is told what is lost. Idempotent."""
        if self._worker.closed:
            return
        closing = self._worker.submit(self.publisher.close)
        if not self._worker.close(timeout_s=_PATIENCE_S):
            what = f"{self.publisher.name} did not end in {_PATIENCE_S} s and was left behind"
            self._fail(LostOutput(what, kept_ns=self._published_ns))
        elif not self._dead and isinstance(error := closing.exception(0), Exception):
            self._fail(error)
        if self._error is not None:
            self._recorder.lost(self._loss(self._error))

    def _loss(self, error: Exception) -> str:
        kept_ns = error.kept_ns if isinstance(error, LostOutput) else self._published_ns
        lost_s = (self._offered_ns - kept_ns) / NS
        return f"{error}, {lost_s:.1f} s are lost" if lost_s >= _LEAST_LOSS_S else str(error)

    def _next(self) -> None:
        with self._lock:
            stamped = self._waiting.popleft()
        if not self._dead:
            self._publish(stamped)

    def _publish(self, stamped: Stamped) -> None:
        began_ns = self._clock.now_ns()
        if stamped.picture_ns is not None:
            self._recorder.offset(stamped.sound_ns - stamped.picture_ns)
        try:
            self.publisher.publish(stamped.tick)
            self._published_ns = stamped.tick.pts_ns + stamped.tick.duration_ns
        except Exception as error:
            self._fail(error)
        self._recorder.stage(f"publish {self.publisher.name}", self._clock.now_ns() - began_ns)

    def _fail(self, error: Exception) -> None:
        self._dead = True
        if self._error is None and not isinstance(error, EndOfStream):  # a closed window has lost nothing
            self._error = error
        self._failed(self.publisher.name, error)


def _longer(last: Stamped, more: Stamped) -> Stamped:
    """``last`` shown on through ``more``, whose picture is dropped and whose sound is kept."""
    tick = last.tick
    audio = tick.audio
    if audio is not None and more.tick.audio is not None:
        samples = np.concatenate((audio.samples, more.tick.audio.samples))
        audio = AudioBlock(samples, audio.rate, audio.pts_ns)
    return replace(last, tick=replace(tick, duration_ns=tick.duration_ns + more.tick.duration_ns, audio=audio))
